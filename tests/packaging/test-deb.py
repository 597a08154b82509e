#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Debian package's description; ./dev deb builds it. Speaks TAP."""
import json
import os
import re
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import BUILD, SOURCE, need, run, tap  # noqa: E402

DEBIAN = os.path.join(SOURCE, "systemd", "debian")


def read(name):
    with open(os.path.join(DEBIAN, name), encoding="utf-8") as file:
        return file.read()


def test_version_is_that_of_the_build(_folder):
    need("dpkg-parsechangelog")
    version = run("dpkg-parsechangelog", "-l", os.path.join(DEBIAN, "changelog"), "-S", "Version").stdout.strip()
    with open(os.path.join(BUILD, "meson-info", "intro-projectinfo.json"), encoding="utf-8") as file:
        assert json.load(file)["version"] == version


def test_build_dependencies_are_those_of_dev(_folder):
    """Two lists of one thing: what ./dev installs to build and what the package asks for."""
    with open(os.path.join(SOURCE, "dev"), encoding="utf-8") as file:
        dev = re.search(r"^build_packages=\((.*?)\)", file.read(), re.M | re.S)[1].split()
    field = re.search(r"^Build-Depends:\n((?: .*\n)+)", read("control"), re.M)[1]
    asked = {re.split(r"[\s|]", line.strip())[0].rstrip(",") for line in field.splitlines()}
    own = {"debhelper-compat", "dh-sequence-installsysusers", "systemd-dev"}
    assert asked - own == set(dev) - {"gcc", "libc6-dev"}, (asked, dev)  # both are build-essential


def test_rules_are_understood(folder):
    """debhelper reads the folder: the order of what it would do, with our overrides in it."""
    need("dh", "dpkg-buildpackage", "pkg-config")
    tree = os.path.join(folder, "seed")
    shutil.copytree(DEBIAN, os.path.join(tree, "debian"))
    shutil.copy(os.path.join(SOURCE, "meson.build"), tree)
    steps = run("dh", "binary", "--no-act", "--buildsystem=meson", cwd=tree).stdout
    for step in ("override_dh_auto_configure", "override_dh_installsystemd", "dh_installsysusers", "dh_installtmpfiles",
                 "execute_after_dh_install"):
        assert step in steps, (step, steps)


if __name__ == "__main__":
    tap.main([test_version_is_that_of_the_build, test_build_dependencies_are_those_of_dev, test_rules_are_understood])
