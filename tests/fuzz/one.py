"""One fuzzer in a process of its own: ``python -m tests.fuzz.one FORMAT raw|shaped FOLDER [libFuzzer's options]``."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

atheris: Any = importlib.import_module("atheris")  # no types, and not installed where nobody fuzzes


class AtherisChoices:
    """Choices out of the fuzzer's bytes."""

    def __init__(self, data: bytes) -> None:
        """Take the bytes."""
        self._provider: Any = atheris.FuzzedDataProvider(data)

    def below(self, bound: int) -> int:
        """A whole number."""
        return int(self._provider.ConsumeIntInRange(0, bound - 1))

    def text(self) -> str:
        """Some text; JSON cannot write lone surrogates, and orjson would not."""
        return str(self._provider.ConsumeUnicodeNoSurrogates(12))

    def number(self) -> float:
        """A finite number."""
        return float(self._provider.ConsumeRegularFloat())


def main() -> None:
    """Fuzz until libFuzzer's options say that it is enough, or a finding ends it."""
    form, sort, folder, *options = sys.argv[1:]
    with atheris.instrument_imports(include=["ingest", "devices", "domain", "service.storable", "rules"]):
        way: Any = importlib.import_module("tests.fuzz.way")
        seeds: Any = importlib.import_module("tests.fuzz.seeds")
        shape: Any = importlib.import_module("tests.fuzz.shape")
    topics: list[str] = seeds.topics_of(form)
    words: list[str] = seeds.words_of(form)
    format_ = way.FORMATS[form]
    corpus = Path(folder)
    corpus.mkdir(parents=True, exist_ok=True)
    if sort == "raw":
        for number, payload in enumerate(seeds.payloads_of(form)):
            for place in range(len(topics)):
                (corpus / f"seed-{number}-{place}").write_bytes(bytes((place,)) + payload)

    def raw(data: bytes) -> None:
        place = data[0] if data else 0
        rest = data[1:]
        if place < 2 * len(topics):
            way.feed(format_, topics[place % len(topics)], rest)
        else:
            # Topics are texts of a broker: any valid UTF-8.
            topic, _, payload = rest.partition(b"\0")
            way.feed(format_, topic.decode(errors="replace"), payload)

    def shaped(data: bytes) -> None:
        choices = AtherisChoices(data)
        topic = topics[choices.below(len(topics))]
        way.feed(format_, topic, shape.shaped(choices, words))

    target: Callable[[bytes], None] = raw if sort == "raw" else shaped
    atheris.Setup([sys.argv[0], *options, str(corpus)], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
