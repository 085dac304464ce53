# SPDX-License-Identifier: GPL-2.0-only
#
# Reads KTAP as it comes, shows one line per finished test case, and counts.
#
# KTAP nests by indentation: the results of a subtest are deeper than, and come
# before, the result that sums them up. A result with nothing below it is a
# case and is counted; the others are there to be checked: that every plan was
# kept, and that a suite that failed did so because of a case. Whatever is
# missing is a failure of its own, so a suite that died cannot look well.

import re

VERSION = re.compile(r"K?TAP version \d+")
PLAN = re.compile(r"1\.\.(\d+)(?:\s*#\s*(skip\b.*))?", re.I)
RESULT = re.compile(r"(not )?ok \d+(?: -)?\s*([^#]*?)\s*(?:#\s*(.*))?")
SUBTEST = re.compile(r"# Subtest: (.+)")
RUN = re.compile(r"#\s+RUN\s+(\S+)")


class Level:
    """What is known of the results at one indentation."""

    def __init__(self, indent):
        self.indent = indent
        self.plan = None
        self.results = 0
        self.failed = 0     # cases, of this level and below
        self.name = None    # from '# Subtest:'


class Reader:
    """Feed it lines; passed, failed and skipped are the cases so far."""

    def __init__(self, show=print):
        self.passed = self.failed = self.skipped = 0
        self.show = show
        self.levels = []
        self.notes = []     # since the last result
        self.running = None

    def feed(self, line):
        """Take one line, without its newline."""
        text = line.strip()
        indent = len(line) - len(line.lstrip())
        if VERSION.match(text):
            if indent == 0:
                self.finish()
            self._level(indent)
            return
        match = PLAN.fullmatch(text)
        if match:
            self._level(indent).plan = int(match.group(1))
            return
        match = RESULT.fullmatch(text)
        if match:
            self._result(indent, match)
            return
        match = SUBTEST.match(text)
        if match:
            level = self._level(indent)
            if not level.results:
                level.name = match.group(1)
                self.show(f"  {level.name}")
            return
        match = RUN.match(text)
        if match:
            self.running = match.group(1)
        if text:
            self.notes.append(line)

    def finish(self):
        """The document ends here: is anything missing?"""
        while self.levels:
            level = self.levels.pop()
            if level.indent > 0:
                where = level.name or "a suite"
                self._fail(f"{where} ended early, after {level.results} results", level)
            else:
                self._check_plan(level, "the tests")

    def abort(self, why):
        """Count a failure that no test reported."""
        self._fail(why, Level(0))

    def _level(self, indent):
        """The level at this indentation, opened if need be."""
        for level in self.levels:
            if level.indent == indent:
                return level
        level = Level(indent)
        self.levels.append(level)
        self.levels.sort(key=lambda level: level.indent)
        return level

    def _result(self, indent, match):
        level = self._level(indent)
        failed, name, directive = bool(match.group(1)), match.group(2), match.group(3) or ""
        skipped = directive.lower().startswith("skip")
        name = name or self.running or "(no name)"
        self.running = None
        below = [deeper for deeper in self.levels if deeper.indent > indent]
        del self.levels[len(self.levels) - len(below):]
        level.results += 1
        cases = sum(deeper.results for deeper in below)

        if cases == 0 and not any(deeper.plan for deeper in below):
            self._case(level, name, failed, skipped, directive)
            return
        for deeper in below:
            self._check_plan(deeper, name)
        below_failed = sum(deeper.failed for deeper in below)
        level.failed += below_failed
        if failed and not below_failed:
            self._fail(f"{name} {directive}".strip(), level)
        self.notes = []

    def _case(self, level, name, failed, skipped, directive):
        if skipped:
            self.skipped += 1
            self.show(f"    skip  {name}: {directive[4:].strip(' :')}")
        elif failed:
            self._fail(f"{name} {directive}".strip(), level)
        else:
            self.passed += 1
            self.show(f"    ok    {name}")
        self.notes = []

    def _fail(self, what, level):
        self.failed += 1
        level.failed += 1
        self.show(f"    FAIL  {what}")
        for note in self.notes[-80:]:
            self.show(f"          {note}")
        self.notes = []

    def _check_plan(self, level, name):
        if level.plan is None:
            self._fail(f"{name}: no plan", level)
        elif level.plan != level.results:
            self._fail(f"{name}: {level.plan} planned, {level.results} reported", level)
