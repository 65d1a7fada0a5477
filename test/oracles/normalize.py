"""Normalises texts with Python's own modules: {"texts", "form", "html"} in, texts out.

Characters that this Python's Unicode tables do not know are reported in "unassigned", since newer tables
may treat them otherwise.
"""
import html
import html.entities
import json
import sys
import unicodedata

request = json.load(sys.stdin)
form, unescape = request["form"], request["html"]
answers = []
for text in request["texts"]:
    result = html.unescape(text) if unescape else text
    if form != "none":
        result = unicodedata.normalize(form, result)
    answers.append({"text": result, "unassigned": any(unicodedata.category(c) == "Cn" for c in text)})
json.dump({"answers": answers, "entities": list(html.entities.html5)}, sys.stdout)
