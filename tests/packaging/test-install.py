#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What meson installs, used from where it went. Speaks TAP."""
import glob
import json
import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import BUILD, random_model, run, sanitized, tap  # noqa: E402

MESON_LOG = os.path.join(BUILD, "meson-logs", "install-log.txt")
with open(os.path.join(BUILD, "meson-info", "intro-buildoptions.json"), encoding="utf-8") as options_file:
    OPTIONS = {option["name"]: option["value"] for option in json.load(options_file)}
PREFIX = OPTIONS["prefix"]
LIBDIR = os.path.join(PREFIX, OPTIONS["libdir"])
PROGRAM = r"""
#include <seed/safetensors.h>
#include <stdio.h>
int main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SeedSafetensors) st = seed_safetensors_open (argv[1], &error);
  if (!st)
    return fprintf (stderr, "%s\n", error->message), 1;
  printf ("%u\n", seed_safetensors_n_tensors (st));
}
"""


def install(folder):
    """Of a real installation of this build the log stays."""
    if os.path.exists(MESON_LOG):
        shutil.copy2(MESON_LOG, os.path.join(folder, "log"))
    root = os.path.join(folder, "root")
    run("meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", env={"DESTDIR": root})
    return root


def restore_log(folder):
    if os.path.exists(os.path.join(folder, "log")):
        shutil.move(os.path.join(folder, "log"), MESON_LOG)
    elif os.path.exists(MESON_LOG):
        os.unlink(MESON_LOG)


def inside(root, *path):
    return os.path.join(root + PREFIX, *path)


def environment(root):
    return {"LD_LIBRARY_PATH": root + LIBDIR, "GST_PLUGIN_PATH_1_0": os.path.dirname(plugin(root)),
            "GST_REGISTRY_1_0": os.path.join(root, "registry.bin"), "GST_REGISTRY_FORK": "no"}


def plugin(root):
    found = glob.glob(root + "/**/libgstseed.so", recursive=True)
    assert len(found) == 1, found
    return found[0]


def files_are_in_place(root):
    expected = ["bin/seedd", "bin/seed-run", "bin/seedctl", "share/man/man8/seedd.8",
                "share/bash-completion/completions/seedd", "include/seed/safetensors.h", "lib/systemd/user/seedd.service",
                "lib/sysusers.d/seed.conf", "lib/tmpfiles.d/seed.conf", "share/man/man1/seed-run.1",
                "share/man/man1/seedctl.1", "share/bash-completion/completions/seedctl",
                "share/seed/graphs/lobby.yaml", "share/seed/graphs/media/demo.mp4", "share/seed/graphs/models/mini/README.md", "share/doc/seed/install.md",
                "share/doc/seed/examples/seedd.yaml", "share/doc/seed/examples/cameras.conf"]
    missing = [path for path in expected if not os.path.exists(inside(root, path))]
    assert not missing, missing
    if not OPTIONS.get("systemd-system-unit-dir"):
        unit = inside(root, "lib/systemd/system/seedd.service")
        with open(unit, encoding="utf-8") as file:
            assert f"\nExecStart={PREFIX}/bin/seedd\n" in file.read()
    assert not OPTIONS.get("plugin-dir") and plugin(root) == root + LIBDIR + "/gstreamer-1.0/libgstseed.so" \
        or plugin(root) == root + OPTIONS["plugin-dir"] + "/libgstseed.so", plugin(root)


def graph_is_checked(folder, root):
    model, graphs = random_model(os.path.join(folder, "model")), inside(root, "share/seed/graphs")
    check = (inside(root, "bin/seed-run"), "--check", os.path.join(graphs, "demo.yaml"))
    where, path = environment(root), plugin(root)
    done = run(*check, env=where)
    assert "application/x-seed-patches" in done.stdout, done.stdout
    if not os.path.exists(path[len(root):]):
        # it was that plugin and none of the build
        os.rename(path, path + ".away")
        run(*check, env=where, expect=1)
        os.rename(path + ".away", path)
    return model


def program_is_compiled(folder, root, model):
    source, binary = os.path.join(folder, "count.c"), os.path.join(folder, "count")
    with open(source, "w", encoding="utf-8") as file:
        file.write(PROGRAM)
    with open(os.path.join(root + LIBDIR, "pkgconfig", "seed.pc"), encoding="utf-8") as file:
        text = file.read()
    assert text.startswith(f"prefix={PREFIX}\n"), text
    # as if it had been installed in DESTDIR: a variable on the command line would move GLib as well
    with open(os.path.join(folder, "seed.pc"), "w", encoding="utf-8") as file:
        file.write(text.replace(f"prefix={PREFIX}", f"prefix={root + PREFIX}", 1))
    flags = run("pkg-config", "--cflags", "--libs", "seed", env={"PKG_CONFIG_PATH": folder}).stdout.split()
    assert not [flag for flag in flags if "openblas" in flag or "zmq" in flag], flags
    run("cc", "-Wall", "-Werror", "-o", binary, source, *flags)
    done = run(binary, os.path.join(model, "model.safetensors"), env=environment(root))
    assert int(done.stdout) > 10, done.stdout
    run(binary, source, env=environment(root), expect=1)


def everything_goes(root):
    before = sum(len(files) for _, _, files in os.walk(root))
    assert before > 30, before
    run("ninja", "-C", BUILD, "uninstall")
    left = [os.path.join(path, name) for path, _, files in os.walk(root) for name in files]
    assert left in ([], [os.path.join(root, "registry.bin")]), left


def test_install_use_uninstall(folder):
    root = install(folder)
    try:
        files_are_in_place(root)
        if not sanitized():
            model = graph_is_checked(folder, root)
            program_is_compiled(folder, root, model)
        everything_goes(root)
    finally:
        restore_log(folder)


if __name__ == "__main__":
    tap.main([test_install_use_uninstall])
