"""The definitions of docs/statistics.md, 1 to 3, as plain loops: slow, and easy to read against the page."""

import math

import numpy as np

TIERS = ("excellent", "great", "good", "poor")
TOLERANCE = 1e-9


def in_tail(kind, value, golds, tiers, everything):
    if kind == "tiers":
        return [t in value for t in tiers]
    if kind == "threshold":
        return [g >= value - TOLERANCE for g in golds]
    if kind == "quantile":
        edge = float(np.quantile(everything, value))
        return [g >= edge - TOLERANCE for g in golds]
    k = value if kind == "top_k" else max(2, math.ceil(value * len(golds) - 1e-9))
    edge = sorted(golds, reverse=True)[min(k, len(golds)) - 1]
    return [g >= edge - TOLERANCE for g in golds]


def pairs(golds, tiers, min_margin):
    """(better, worse) of each pair of a ladder."""
    found = []
    for i in range(len(golds)):
        for j in range(len(golds)):
            gap = golds[i] - golds[j]
            if gap <= TOLERANCE or gap < min_margin - TOLERANCE:
                continue
            if tiers[i] is not None and tiers[i] == tiers[j]:
                continue
            found.append((i, j))
    return found


def credit_of_scores(scores, i, j):
    """1, 0.5, 0, or None where unscored."""
    if scores[i] is None or scores[j] is None or math.isnan(scores[i]) or math.isnan(scores[j]):
        return None
    return 1.0 if scores[i] > scores[j] else 0.5 if scores[i] == scores[j] else 0.0


def credit_of_preferences(preferences, i, j):
    """From (a, b, p_a) triples: the mean over the orders asked, None where any answer to the pair is unscored."""
    orders = [[p for a, b, p in preferences if (a, b) == (i, j)]]
    orders.append([None if p is None else 1 - p for a, b, p in preferences if (a, b) == (j, i)])
    orders = [own for own in orders if own]
    if not orders or any(p is None for own in orders for p in own):
        return None
    p = sum(sum(own) / len(own) for own in orders) / len(orders)
    return 0.5 if abs(p - 0.5) < 1e-9 else 1.0 if p > 0.5 else 0.0


def region_figures(ladders, kind, value, min_margin, credit):
    """{region: {figure: (value or None, n_ladders, n_pairs)}}; ladders: (golds, tiers, said by the grader)."""
    everything = [g for golds, _, _ in ladders for g in golds]
    rows = {region: [] for region in ("tail", "cross", "body", "all")}
    for golds, tiers, said in ladders:
        tail = in_tail(kind, value, golds, tiers, everything)
        own = {region: [] for region in rows}
        for i, j in pairs(golds, tiers, min_margin):
            region = ("body", "cross", "tail")[tail[i] + tail[j]]
            own[region].append(credit(said, i, j))
            own["all"].append(credit(said, i, j))
        for region, credits in own.items():
            if credits:
                rows[region].append(credits)
    return {region: _figures(own) for region, own in rows.items()}


def _figures(rows):
    n_pairs = sum(len(r) for r in rows)
    scored = [[c for c in r if c is not None] for r in rows]
    scored = [r for r in scored if r]
    n_scored = sum(len(r) for r in scored)
    return {
        "accuracy": (_mean([_mean([c or 0.0 for c in r]) for r in rows]), len(rows), n_pairs),
        "strict_accuracy": (_mean([_mean([float(c == 1.0) for c in r]) for r in rows]), len(rows), n_pairs),
        "unscored_rate": (_mean([_mean([float(c is None) for c in r]) for r in rows]), len(rows), n_pairs),
        "tie_rate": (_mean([_mean([float(c == 0.5) for c in r]) for r in scored]), len(scored), n_scored),
    }


def _mean(values):
    return sum(values) / len(values) if values else None
