"""Trains small classifiers with fastText: {"folder", "lines", "models": {name: {"train", "quantize"?}}} in.

Each model is written to FOLDER/NAME: with "quantize" after that step, with "vectors" as word vectors instead
of a classifier. Prints null.
"""
import json
import os
import sys

import fasttext

request = json.load(sys.stdin)
path = os.path.join(request["folder"], "lines.txt")
with open(path, "w", encoding="utf-8") as file:
    file.writelines(line + "\n" for line in request["lines"])
for name, options in request["models"].items():
    if options.get("vectors"):
        model = fasttext.train_unsupervised(path, thread=1, verbose=0, **options["train"])
    else:
        model = fasttext.train_supervised(path, thread=1, verbose=0, **options["train"])
    if "quantize" in options:
        model.quantize(input=path, thread=1, verbose=0, **options["quantize"])
    model.save_model(os.path.join(request["folder"], name))
json.dump(None, sys.stdout)
