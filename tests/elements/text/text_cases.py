# SPDX-License-Identifier: MIT
"""Texts that tokenizers disagree about, for generate-text-fixtures.py."""
import random

HAND_MADE = [
    "", " ", "\t\n \r", "a", "A photo of a cat.", "a photo of 2 dogs, 13 cats and 1,024 birds!",
    "it's they're we've I'm you'll he'd don't 'S 'Tis rock'n'roll ''s '' s's",
    "HELLO World ÀÉÎÕÜ ßẞ İstanbul IĞDIR ŞIŞLI ǅ ǆ Ǆ ﬁne ﬀ",
    "ΟΔΥΣΣΕΥΣ Σίσυφος ΣΑΣ ς σ Σ", "Привет, мир! ЁЛКА ёлка Й й и\u0306", "İ i\u0307 I\u0307 ı",
    "cafe\u0301 café e\u0301\u0323 \u1ec7 A\u030a \u212b \u2126 \u00c5 n\u0303 \u0344",
    "z\u0351\u036b\u0343\u036a\u0302a\u035c\u0328lgo", "\u0301leading accent", "a\u20dd b\ufe0f",
    "你好，世界！ 日本語のテキスト。 ｶﾀｶﾅ カタカナ 한국어 각 \u1100\u1161\u11a8",
    "𠀀𪜀𫝀 \U0002b820 \U0002ceb0 豈 丽 ㍿ ㈱ ① Ⅳ ½ ²³ ٣ ৩ 𝟙𝟚 〇",
    "مرحبا بالعالم שלום עולם \u202eRTL\u202c \u200fmark ﷺ ﷽ لا",
    "नमस्ते दुनिया ไทยภาษา ትግርኛ ქართული Ქართული ᏣᎳᎩ ꭰ",
    "zero\u200bwidth zero\u200cnon zero\u200djoin word\u2060join \ufeffbom soft\u00adhyphen",
    "😀😃 👩\u200d👩\u200d👧\u200d👦 👍🏽 🇩🇪🇯🇵 ❤\ufe0f ☺ 🫠 🏳\ufe0f\u200d🌈 1\ufe0f\u20e3",
    "control\x01\x02\x1b[0m \x7f \x80\x85\x9f \x1c\x1d\x1e\x1f end", "bell\x07tab\tnew\nline\rret\x0bvt\x0cff",
    "nbsp\u00a0em\u2003thin\u2009ideo\u3000line\u2028para\u2029ogham\u1680nnb\u202fmath\u205f.",
    "replacement \ufffd private \ue000 \U000f0000 nonchar \ufdd0 \uffff \U0010ffff unassigned \u0378 \U000e0001",
    "a" * 99 + " " + "b" * 100 + " " + "c" * 101 + " " + "é" * 100 + " " + "𝒳" * 100 + " " + "𝒳" * 101,
    "supercalifragilisticexpialidocious antidisestablishmentarianism " * 3, "ab" * 1000, "!" * 500, "a" * 700,
    "word " * 200, "你" * 200, "😀" * 120, "1234567890" * 20, " \t " * 50 + "x" + "  \n" * 50,
    "<|startoftext|>a<|endoftext|>", "x <|ENDOFTEXT|> y", "<|startoftext|", "<|endoftext|><|endoftext|>",
    "[CLS] a [SEP] b [PAD][MASK] [UNK] [cls] [ SEP ]", "a[SEP]b", "</s> hello </s>", "hello</s>", "</S> x", "<unk> y <pad>",
    "  <unk>  ", "▁ under ▁▁score▁", "▁", "_ __ ###hash ##ing #", "a-b_c.d/e\\f@g#h$i%j^k&l*m(n)o+p=q",
    "“quotes” ‘single’ «guillemets» … – — ‐ ‑ · • ¿¡ § ¶ † ‡ ※ 〈〉 ．，！", "price: $5.99 €10 £7 ¥100 ₹50 ₿1",
    "https://example.org/path?q=1&r=a%20b user@example.com", "C++ C# .NET e=mc² 10°C 50% ±3 ∑∫√∞≠≤ ⟨ψ|φ⟩",
    "MiXeD CaSe TeXt WiTh CAPS", "tabs\tand  double   spaces ", " leading and trailing ",
    "ﬃ ﬄ ĳ Ĳ ŉ ǰ ΐ ﬓ ẖ", "\u1e9b\u0323 \u0958 \u2adc \ufb1d \U0001d15e", "x\u0327\u0301 x\u0301\u0327",
    "Ⅷ ⅷ ⒶⓐＡａ ㎏ ㌖ ﹒ ＠ ￥ ｡", "line one\nline two\r\nline three", "ǆ'S CAN'T WON'T I'LL",
]

BLOCKS = [(0x20, 0x7e)] * 6 + [
    (0xa0, 0x17f), (0x180, 0x24f), (0x300, 0x36f), (0x370, 0x3ff), (0x400, 0x4ff), (0x5d0, 0x5ea),
    (0x620, 0x64a), (0x900, 0x97f), (0xe00, 0xe5b), (0x10a0, 0x10ff), (0x1100, 0x11ff), (0x1e00, 0x1eff),
    (0x1f00, 0x1fff), (0x2000, 0x206f), (0x20a0, 0x20bf), (0x2100, 0x218b), (0x2190, 0x21ff), (0x2460, 0x24ff),
    (0x3000, 0x30ff), (0x4e00, 0x4eff), (0xac00, 0xacff), (0xf900, 0xf9ff), (0xfb00, 0xfb4f), (0xfe00, 0xfe0f),
    (0xff01, 0xffdc), (0x1d400, 0x1d4ff), (0x1f300, 0x1f64f), (0x1f900, 0x1f9ff), (0x20000, 0x2007f)]


def random_texts(n, seed=20250101):
    rng = random.Random(seed)
    texts = []
    for _ in range(n):
        words = []
        for _ in range(rng.randint(1, 10)):
            first, last = rng.choice(BLOCKS)
            words.append("".join(chr(rng.randint(first, last)) for _ in range(rng.randint(1, 6))))
        texts.append(rng.choice(["", " ", "\u200b"]).join(words))
    return texts


def cases():
    return HAND_MADE + random_texts(60)
