"""Whether a run of speed.py is slower than an earlier one, by the ratios in its rows.

Seconds depend on the machine; ratios to the limit and to peers that were measured in
the same run do so far less.
"""

# A loss of 10% has to be seen, and medians of 5 rounds are uncertain by some percent.
SEEN = 0.07


def losses(rows, baseline, seen=SEEN):
    """Return a line for each ratio that has become worse.

    Parameters
    ----------
    rows, baseline : list of dict
        Rows of speed.py, of now and of before. Rows are compared with those of the
        same configuration, device and precision, ratios with those to the same peers;
        what only one of the two has is passed over.
    seen : float, default=0.07
        Smallest loss that is told, as a share of what the ratio was.

    Returns
    -------
    lines : list of str
        They name the configuration, the ratio, and how much of it is lost.

    Raises
    ------
    ValueError
        If no ratio can be compared.
    """
    now, before = ratios(rows), ratios(baseline)
    common = [key for key in now if key in before]
    if not common:
        raise ValueError("this run and the baseline have no row in common.")
    lines = []
    for key in common:
        loss = now[key] / before[key] - 1
        if loss >= seen:
            config, device, precision, what = key
            lines.append(
                f"{config} on {device} in {precision}: {loss:.0%} slower: {what} is "
                f"{now[key]:.3f}, and was {before[key]:.3f}"
            )
    return lines


def ratios(rows):
    """Return times over that of the limit and of peers, by configuration."""
    found = {}
    for row in rows:
        key = row["config"], row["device"], row.get("precision", "float32")
        found[*key, "time / limit"] = row["ratio_to_limit"]["sknoisy"]
        for peer, times in row["speedup_over"].items():
            if peer not in ("limit", "sknoisy"):
                found[*key, f"time / {peer}"] = 1 / times
    return found
