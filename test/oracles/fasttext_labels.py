"""What fastText itself says of texts: {"model", "texts"} in, for each text its two best [label, score] out.

fastText reads one line at a time, so line feeds become spaces.
"""
import json
import sys

import fasttext

fasttext.FastText.eprint = lambda *_: None
request = json.load(sys.stdin)
model = fasttext.load_model(request["model"])
answers = []
for text in request["texts"]:
    # The wrapper's own predict() needs numpy 1; the core below it does not.
    best = model.f.predict(text.replace("\n", " ") + "\n", 2, 0.0, "strict")
    answers.append([[label.removeprefix("__label__"), score] for score, label in best])
json.dump(answers, sys.stdout)
