"""What the fuzzed fits came to, by the kind of estimator."""

from collections import Counter

OUTCOMES = ("fitted", "refused", "diverged", "failed")


def pytest_terminal_summary(terminalreporter):
    counts = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            known = dict(getattr(report, "user_properties", ()))
            if getattr(report, "when", None) != "call" or "kind" not in known:
                continue
            outcome = known.get("outcome") if report.passed else "failed"
            counts[known["kind"], outcome] += 1
    if not counts:
        return
    terminalreporter.section("fuzzed")
    row = "{:20}" + len(OUTCOMES) * "{:>10}"
    terminalreporter.write_line(row.format("kind", *OUTCOMES))
    kinds = dict.fromkeys(kind for kind, _ in counts)
    for kind in sorted(kinds):
        numbers = (counts[kind, outcome] for outcome in OUTCOMES)
        terminalreporter.write_line(row.format(kind, *numbers))
    total = (sum(counts[k, outcome] for k in kinds) for outcome in OUTCOMES)
    terminalreporter.write_line(row.format("all", *total))
