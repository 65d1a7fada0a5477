"""RefinedWeb's line-wise corrections once more (Penedo et al. 2023, appendix G.2), with DCLM's thresholds: {"texts"} in,
for each what is cut by which rule, the share of words that goes, the lines that stay and the text that is left out.
Plain loops over lines and words; words are what str.split gives."""
import json
import sys
import unicodedata

COUNTED = "likes shares comments retweets reposts quotes bookmarks upvotes downvotes downloads views followers".split()
SHORT = 10


def is_counter(line: str) -> bool:
    """A number, as in 3, 1,024 or 1.5k, and a word of what is counted; signs around them do not matter."""
    letters = lambda c: c.isalnum() or c == "_"
    while line and not letters(line[0]):
        line = line[1:]
    while line and not letters(line[-1]):
        line = line[:-1]
    parts = line.split()
    if len(parts) != 2 or parts[1].lower() not in COUNTED:
        return False
    number = parts[0].lower()
    if number[-1] in "kmb":
        number = number[:-1]
    is_digit = lambda c: unicodedata.category(c) == "Nd"
    return number != "" and is_digit(number[0]) and all(is_digit(c) or c in ",." for c in number)


def cut_by(line: str) -> str | None:
    if sum(c.isupper() for c in line) / len(line) > 0.5:
        return "uppercase_lines"
    if all(unicodedata.category(c).startswith("N") for c in line):
        return "number_lines"
    if is_counter(line):
        return "counter_lines"
    return "short_lines" if len(line.split()) < 2 else None


def without(line: str, phrase: str, rule: str, counts: dict) -> str:
    """The line without a phrase, at the place the rule looks at, and without a space on the side of the text."""
    at = 0
    while True:
        lowered = line.lower()
        at = lowered.find(phrase, at)
        if rule == "prefixes":
            at = 0 if lowered.startswith(phrase) else -1
        elif rule == "suffixes":
            at = len(line) - len(phrase) if lowered.endswith(phrase) else -1
        if at < 0:
            return line
        end = at + len(phrase)
        counts[rule] += 1
        if rule == "prefixes":
            return line[end + 1 :] if line[end : end + 1].isspace() else line[end:]
        if line[at - 1 : at].isspace():
            at -= 1
        line = line[:at] + line[end:]
        if rule == "suffixes":
            return line


def judge(text: str) -> dict:
    rules = ["uppercase_lines", "number_lines", "counter_lines", "short_lines", "phrases", "suffixes", "prefixes"]
    counts = dict.fromkeys(rules, 0)
    kept = []
    for raw in text.split("\n"):
        line = raw.strip()
        if line == "":
            kept.append(raw)
            continue
        rule = cut_by(line)
        if rule is not None:
            counts[rule] += 1
            continue
        if len(line.split()) > SHORT:
            kept.append(raw)
            continue
        left = without(line, "items in cart", "phrases", counts)
        left = without(left, "read more...", "suffixes", counts)
        left = without(left, "sign-in", "prefixes", counts)
        if left == line:
            kept.append(raw)
        elif left.strip() != "":
            kept.append(left)
    words = len(text.split())
    removed = words - min(words, sum(len(line.split()) for line in kept))
    lines = sum(line.strip() != "" for line in kept)
    return {
        "measures": {"removed_words": removed / words if words else None, "lines": lines, **counts},
        "text": "\n".join(kept).strip() if kept != text.split("\n") else text,
    }


json.dump([judge(text) for text in json.load(sys.stdin)["texts"]], sys.stdout)
