"""Asks datatrove's URLFilter about addresses: {"urls", "lists", "soft"} in, for each address the reason for which it
leaves out, null where it stays. `lists` are by our names. Domains are found with the suffixes that tldextract carries,
so that nothing is fetched."""
import json
import sys

import tldextract
from datatrove.data import Document
from datatrove.pipeline.filters import URLFilter

extract = tldextract.TLDExtract
tldextract.TLDExtract = lambda: extract(suffix_list_urls=(), cache_dir=None)

request = json.load(sys.stdin)
lists = request["lists"]
url_filter = URLFilter(
    soft_word_threshold=request["soft"],
    extra_domains=lists["domains"],
    extra_urls=lists["urls"],
    banned_words=lists["words"],
    banned_subwords=lists["substrings"],
    soft_banned_words=lists["softWords"],
    use_integrated_lists=False,
)
url_filter.banned_subwords_automaton.make_automaton()


def reason(url: str) -> str | None:
    answer = url_filter.filter(Document(text="", id="", metadata={"url": url}))
    return None if answer is True else answer[1]


json.dump([reason(url) for url in request["urls"]], sys.stdout)
