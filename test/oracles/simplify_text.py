"""What datatrove compares documents by: simplify_text with its defaults, of each text in a JSON list.

A text with a character that this Python's tables do not know yet gives null.
"""

import json
import sys
import unicodedata

from datatrove.utils.text import simplify_text


def is_known(text: str) -> bool:
    return all(unicodedata.category(character) != "Cn" for character in text)


json.dump([simplify_text(text) if is_known(text) else None for text in json.load(sys.stdin)], sys.stdout)
