"""Makes a small tokenizer.json of each model type with Hugging Face `tokenizers`, from the text on standard
input, in the folder given; prints the paths.

They are shaped like those of well-known models: WordPiece like BERT, Unigram like T5, BPE with byte fallback
and no pre-tokenizer like Gemma, WordLevel, and BPE with patterns that no published model has.
"""

import json
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

folder = sys.argv[1]
lines = sys.stdin.read().splitlines()
paths = []


def save(name, tokenizer):
    path = f"{folder}/{name}.json"
    # Truncation and padding in the file must not show.
    tokenizer.enable_truncation(16)
    tokenizer.enable_padding(length=8)
    tokenizer.save(path)
    paths.append(path)


bert = Tokenizer(models.WordPiece(unk_token="[UNK]"))
bert.normalizer = normalizers.BertNormalizer(lowercase=True)
bert.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
bert.train_from_iterator(lines, trainers.WordPieceTrainer(vocab_size=2000, special_tokens=special))
bert.post_processor = processors.TemplateProcessing(
    single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
)
bert.decoder = decoders.WordPiece()
bert.add_tokens([AddedToken("ahoy", lstrip=True, rstrip=True), AddedToken("the whale", single_word=True)])
save("wordpiece", bert)

t5 = Tokenizer(models.Unigram())
t5.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
t5.pre_tokenizer = pre_tokenizers.Metaspace()
trainer = trainers.UnigramTrainer(vocab_size=2000, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>")
t5.train_from_iterator(lines, trainer)
t5.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
t5.decoder = decoders.Metaspace()
save("unigram", t5)

gemma = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
gemma.normalizer = normalizers.Replace(" ", "▁")
gemma.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
trainer = trainers.BpeTrainer(vocab_size=2000, special_tokens=["<unk>", *byte_tokens], max_token_length=16)
gemma.train_from_iterator([line.replace(" ", " ▁") for line in lines], trainer)
save("byte-fallback", gemma)

words = Tokenizer(models.WordLevel(unk_token="<unk>"))
words.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()])
words.pre_tokenizer = pre_tokenizers.Whitespace()
words.train_from_iterator(lines, trainers.WordLevelTrainer(vocab_size=1000, special_tokens=["<unk>", "<eos>"]))
save("wordlevel", words)

for name, pattern in {
    "odd-pattern": r"\p{Lu}?\p{Ll}+|\d{1,2}|[^\p{L}\d]",
    # cl100k but for the digits: looks like a known pattern and is not.
    "digit-pairs": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}.items():
    bpe = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(pattern), "isolated")
    bpe.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=2000, initial_alphabet=alphabet))
    bpe.decoder = decoders.ByteLevel()
    save(name, bpe)

print(json.dumps(paths))
