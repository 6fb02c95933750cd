"""Are an ioc run's rows the reference's windows, bit for bit?   compare.py w1|w2 REF.csv rows.lp      (written for this project)

Of each identity (measurement, tags, window start) the last row in the file counts; rows of events in no district are left out.
A number is equal if it is the same double: the shortest text that reads back to it is the same.
"""
import sys

FIELDS = {"w1": ("count", "sum", "min", "max", "mean"), "w2": ("count", "mean", "p95")}
OUTSIDE = "outside"


def reference(path):
    """(start in ms, type, source or district) -> its numbers as texts."""
    windows = {}
    with open(path) as lines:
        for line in lines:
            start, kind, key, *numbers = line.rstrip("\n").split(",")
            windows[start, kind, key] = [numbers[0]] + [repr(float(n)) for n in numbers[1:]]
    return windows


def rows(which, path):
    """The same out of line protocol. The bench's names and tags hold nothing that would be escaped."""
    other = "source" if which == "w1" else "area"
    last, seen, outside = {}, 0, 0
    with open(path) as lines:
        for line in lines:
            seen += 1
            head, fields, start = line.rstrip("\n").split(" ")
            tags = dict(t.split("=") for t in head.split(",")[1:])
            values = dict(f.split("=") for f in fields.split(","))
            if tags[other] == OUTSIDE:
                outside += int(values["count"][:-1])
                continue
            assert start.endswith("000000"), line
            numbers = [values["count"][:-1]] + [repr(float(values[f])) for f in FIELDS[which][1:]]
            last[start[:-6], tags["type"], tags[other]] = numbers
    return last, seen, outside


def compare(which, reference_path, rows_path):
    """What differs, in words, and figures of the rows."""
    want = reference(reference_path)
    got, seen, outside = rows(which, rows_path)
    wrong = []
    missing = [k for k in want if k not in got]
    extra = [k for k in got if k not in want]
    for name, keys in (("missing", missing), ("not in the reference", extra)):
        if keys:
            wrong.append(f"{len(keys)} windows {name}, the first {keys[0]}")
    for n, field in enumerate(FIELDS[which]):
        differ = [k for k in want if k in got and want[k][n] != got[k][n]]
        if differ:
            k = differ[0]
            wrong.append(f"{field} differs in {len(differ)} windows, the first {k}: {got[k][n]} instead of {want[k][n]}")
    events = sum(int(v[0]) for v in got.values())
    return wrong, {"windows": len(got), "rows": seen, "events": events, "outside": outside}


if __name__ == "__main__":
    wrong, figures = compare(*sys.argv[1:4])
    print(figures)
    print("\n".join(wrong) or "EQUAL")
    sys.exit(bool(wrong))
