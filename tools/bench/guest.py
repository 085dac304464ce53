# SPDX-License-Identifier: GPL-2.0-only
#
# What the programs here share: running nursery_bench.ko in a guest, and reading
# what it measured.

import os
import re
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
VM = os.path.join(HERE, "..", "vm", "vm")
CACHE = os.environ.get("NURSERY_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "nursery")
TIMEOUT = 900    # on a machine that is busy; three minutes on one that is not

# What runs in the guest; "#" lines are for us, the others are results.
SCRIPT = r"""
echo "# release $(uname -r)"
echo "# compiler $(modinfo -F compiler nursery_bench)"
modprobe nursery_bench PARAMETERS || exit 1
[ -d /sys/kernel/debug/nursery_bench ] || mount -t debugfs debugfs /sys/kernel/debug
cd /sys/kernel/debug/nursery_bench || exit 1
for w in WORKLOADS; do
    echo "# begin $w"
    if ! echo "$w" >run; then
        dmesg | sed -n 's/.*nursery_bench: /# error /p'
        exit 1
    fi
    cat results
done
dmesg | sed -n 's/.*nursery_bench: \(.*cannot be measured here\)/# note \1/p'
cd / && modprobe -r nursery_bench
echo "# end"
"""


# of a row, in this order
FIELDS = {"workload": str, "n": int, "impl": str, "rounds": int,
          "ns_min": float, "ns_median": float, "unit": str}


def say(line=""):
    """Print now: a run takes minutes."""
    print(line, flush=True)


class Failure(Exception):
    """A guest or a check failed."""


class Results:
    """What one guest measured."""

    def __init__(self, guest):
        self.guest = guest
        self.release = self.compiler = "unknown"
        self.rows = []      # as in bench.json
        self.notes = []

    def add(self, line):
        """One line of name=value."""
        row = {"guest": self.guest}
        values = dict(word.split("=", 1) for word in line.split())
        for name, kind in FIELDS.items():
            if name in values:
                row[name] = kind(values[name])
        self.rows.append(row)

    def cases(self):
        """(workload, n) in the order measured, each once."""
        return list(dict.fromkeys((r["workload"], r["n"]) for r in self.rows))

    def median(self, workload, n, *impls):
        """The best of these, or None."""
        return min((r["ns_median"] for r in self.rows
                    if r["workload"] == workload and r["n"] == n and r["impl"] in impls),
                   default=None)

    def ratio(self, workload, n, over, *under):
        """Medians of one implementation over the best of others, or None."""
        a, b = self.median(workload, n, over), self.median(workload, n, *under)
        return a / b if a is not None and b else None


def known_kernels():
    """Of those that we want, the ones that the VM runner has."""
    usage = subprocess.run([VM, "--help"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [k for k in ("uml", "stock") if re.search(rf"\b{k}\b", usage)]


def run_guest(kernel, workloads, options=(), parameters=()):
    """Boot, measure, and read what comes; options are vm's, parameters the module's."""
    start = time.monotonic()
    script = SCRIPT.replace("WORKLOADS", " ".join(workloads) or "$(cat workloads)")
    script = script.replace("PARAMETERS", " ".join(parameters))
    # told to end when this program does, however it does
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "TERM", VM, "run", "--kernel", kernel,
         "--timeout", str(TIMEOUT), *options, "--", script],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace")
    results, ended = Results(kernel), False
    for line in process.stdout:
        line = line.rstrip()
        word, _, rest = line.removeprefix("# ").partition(" ")
        if line.startswith("workload="):
            results.add(line)
        elif not line.startswith("# "):
            say(f"{kernel}: {line}")
        elif word == "release":
            results.release = rest
            results.guest = f"{kernel}-{'.'.join(rest.split('.')[:2])}"
            say(f"bench: {kernel}: Linux {rest}, {os.cpu_count()} processors here")
        elif word == "compiler":
            results.compiler = rest
        elif word == "begin":
            say(f"bench: {kernel}: {rest} ({time.monotonic() - start:.0f} s)")
        elif word == "note":
            results.notes.append(rest)
        elif word == "error":
            say(f"{kernel}: {rest}")
        elif word == "end":
            ended = True
    if process.wait() != 0 or not ended:
        raise Failure(f"the {kernel} guest failed, status {process.returncode}")
    say(f"bench: {kernel}: done in {time.monotonic() - start:.0f} s")
    return results


def print_aligned(lines):
    """Columns as wide as they must be, the first to the left."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        say("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                      for i, (cell, width) in enumerate(zip(line, widths))).rstrip())
    say()
