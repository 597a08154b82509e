# SPDX-License-Identifier: MIT
"""A strict reader of the Prometheus text format 0.0.4."""
import math
import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]*)=\"((?:[^\"\\\n]|\\[\\\"n])*)\"(,|\})")
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}


class Family:
    def __init__(self, name, help_text):
        self.name, self.help, self.type = name, help_text, None
        self.samples = {}  # (suffix, ((label, value), ...)) -> number


def read_number(text):
    assert re.fullmatch(r"[+-]?(Inf|NaN|[0-9.]+([eE][+-]?[0-9]+)?)", text), text
    return float(text.replace("Inf", "inf").replace("NaN", "nan"))


def read_sample(line):
    name = NAME.match(line).group()
    rest, labels = line[len(name):], {}
    if rest.startswith("{"):
        rest, end = rest[1:], ","
        while end == ",":
            found = LABEL.match(rest)
            assert found, f"bad label: {line}"
            key, value, end = found.groups()
            assert key not in labels, f"label twice: {line}"
            labels[key] = re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], value)
            rest = rest[found.end():]
    assert re.fullmatch(r" [^ ]+", rest), f"expected one space and a number: {line}"
    return name, labels, read_number(rest[1:])


def check_histogram(family):
    series = {}
    for (suffix, labels), value in family.samples.items():
        others = tuple(l for l in labels if l[0] != "le")
        one = series.setdefault(others, {"buckets": []})
        if suffix == "_bucket":
            one["buckets"].append((float(dict(labels)["le"].replace("Inf", "inf")), value))
        else:
            assert suffix not in one
            one[suffix] = value
    for labels, one in series.items():
        bounds = [b for b, _ in one["buckets"]]
        counts = [c for _, c in one["buckets"]]
        assert bounds == sorted(set(bounds)) and bounds[-1] == math.inf, labels
        assert counts == sorted(counts) and counts[-1] == one["_count"], labels
        assert one["_sum"] >= 0


def read(text):
    """{name: Family}; an assertion fails at the first thing the format or its good manners forbid."""
    families, current = {}, None
    assert text.endswith("\n") and "\r" not in text and "\n\n" not in text
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name, help_text = line[7:].split(" ", 1)
            assert NAME.fullmatch(name) and help_text and name not in families, line
            current = families[name] = Family(name, help_text)
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert current and name == current.name and current.type is None, line
            assert kind in SUFFIXES and not current.samples, line
            assert (kind == "counter") == name.endswith("_total"), line
            current.type = kind
        else:
            name, labels, value = read_sample(line)
            assert current and current.type and name.startswith(current.name), line
            suffix = name[len(current.name):]
            assert suffix in SUFFIXES[current.type], line
            key = (suffix, tuple(sorted(labels.items())))
            assert key not in current.samples, f"twice: {line}"
            assert current.type == "gauge" or value >= 0, line
            current.samples[key] = value
    for family in families.values():
        assert family.type and family.samples, family.name
        if family.type == "histogram":
            check_histogram(family)
    return families


def pick(families, name, suffix="", **wanted):
    """Samples that have all of these labels: [(labels, value)]."""
    family = families.get(name)
    return [(dict(labels), value) for (s, labels), value in (family.samples.items() if family else ())
            if s == suffix and all(dict(labels).get(k) == v for k, v in wanted.items())]


def one(families, name, suffix="", **wanted):
    found = pick(families, name, suffix, **wanted)
    assert len(found) == 1, (name, wanted, found)
    return found[0][1]
