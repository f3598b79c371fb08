"""How languages join things, compare them, and speak of what was named before; by ISO 639-1 code."""

from __future__ import annotations

from dataclasses import dataclass

_SPACED_JOINT = r"(?:\s*[,;]\s+(?:(?:WORDS)\s+)?|\s+(?:WORDS|vs\.?|versus)\s+)"
_UNSPACED_JOINT = r"(?:WORDS|\s*(?:vs\.?|VS)\s*)"


@dataclass(frozen=True)
class Words:
    """How a language joins, compares and refers. In patterns ITEMS are joined things, ASPECT is what they are looked at for."""

    joint: str
    compared: tuple[str, ...]
    """Whole sentences that compare ITEMS, perhaps by ASPECT."""
    shared: tuple[str, ...]
    """Whole sentences about several ITEMS of one WHOLE."""
    of: str
    """An item and the whole it belongs to."""
    alone: str
    """What is asked about one item of a comparison that names no aspect."""
    each: str
    """Words which say that every one of the enumerated things is asked about."""
    pronouns: str
    """Words by which a sentence speaks of one before it."""
    joint_of_compared: str = ""
    """How compared things are joined; empty: as any others."""
    spaced: bool = True


_ENGLISH_COMPARE = r"(?i:(?:please |can you |could you )*(?:compare(?: and contrast)?|contrast|a comparison of)) "
_ENGLISH_LEAD = r"(?i:(?:what|which) (?:is|are|was|were) |explain |describe |tell me (?:about )?|give me |name |list |find )?"
LANGUAGES: dict[str, Words] = {
    "en": Words(
        joint=_SPACED_JOINT.replace("WORDS", "and|or"),
        joint_of_compared=_SPACED_JOINT.replace("WORDS", "and|or|with|to"),
        compared=(
            _ENGLISH_COMPARE + r"(?:the )?(?P<aspect>[\p{Ll} ,-]+?) (?:of|for|in(?! terms)) ITEMS",
            _ENGLISH_COMPARE + r"ITEMS"
            r"(?: (?:on|in terms of|with respect to|with regard to|regarding|concerning|as to|by|for|in) ASPECT)?",
            r"(?i:(?:what (?:is|are) |explain |describe )?(?:the )?(?:main |key |biggest )?differences? between) ITEMS"
            r"(?: (?:in terms of|with respect to|with regard to|regarding|when it comes to|in) ASPECT)?",
            r"(?i:how (?:do|does|did)) ITEMS (?:differ|compare)(?: (?:in terms of|with respect to|regarding|in|on) ASPECT)?",
            r"(?P<aspect>(?i:which|what|who) [^,:]+?)[,:] (?P<items>.+ or .+)",
        ),
        shared=(_ENGLISH_LEAD + r"ITEMS of (?P<whole>.+)",),
        of="{item} of {whole}",
        alone="What characterises {item}?",
        each=r"\b(?:each|respectively|every one)\b",
        pronouns=r"\b(?:it|its|he|him|his|she|her|hers|they|them|their|theirs|this|that|these|those|such)\b",
    ),
    "de": Words(
        joint=_SPACED_JOINT.replace("WORDS", "und|oder"),
        joint_of_compared=_SPACED_JOINT.replace("WORDS", "und|oder|mit"),
        compared=(
            r"(?i:(?:bitte )?vergleichen? (?:sie |mir )?)(?:den |die |das )?(?P<aspect>.+?) von ITEMS",
            r"(?i:(?:bitte )?vergleichen? (?:sie |mir )?|vergleich von )ITEMS"
            r"(?: (?:hinsichtlich|in Bezug auf|bezüglich|im Hinblick auf|mit Blick auf|nach|bei) ASPECT)?",
            r"(?i:(?:(?:was|wo|worin) (?:ist|sind|liegt|liegen|besteht|bestehen) )?(?:der|die) (?:\p{L}+ )?unterschiede? zwischen) ITEMS"
            r"(?: (?:hinsichtlich|in Bezug auf|bezüglich|bei) ASPECT)?",
            r"(?i:wie|worin) unterscheiden sich ITEMS(?: (?:hinsichtlich|in Bezug auf|bezüglich|bei|in) ASPECT)?",
            r"(?P<aspect>(?i:welche[rsn]?|was|wer) [^,:]+?)[,:] (?P<items>.+ oder .+)",
        ),
        shared=(
            r"(?i:(?:was|welche[rs]?|wie) (?:ist|sind|war|waren|lautet|lauten) |erkläre |beschreibe |nenne )?"
            r"ITEMS (?P<of>von|des|der) (?P<whole>.+)",
        ),
        of="{item} {of} {whole}",
        alone="Was zeichnet {item} aus?",
        each=r"\b(?:jeweils|jeweilige[nrs]?|jede[rs]?)\b",
        pronouns=r"\b(?:er|ihn|ihm|sie|ihr|ihre[nmrs]?|seine?[nmrs]?|es|diese[nmrs]?|dies|dort|dessen|deren|davon|dafür|damit|dabei)\b",
    ),
    "fr": Words(
        joint=_SPACED_JOINT.replace("WORDS", "et|ou"),
        joint_of_compared=_SPACED_JOINT.replace("WORDS", "et|ou|avec|à"),
        compared=(
            r"(?i:compare[rz]?) (?:le |la |les |l['’])?(?P<aspect>[\p{Ll} ,-]+?) (?:de |d['’]|du )ITEMS",
            r"(?i:compare[rz]?|comparaison (?:de|entre)) ITEMS"
            r"(?: (?:sur|en termes de|du point de vue de|selon|pour|en matière de) ASPECT)?",
            r"(?i:(?:quelles? (?:est|sont) )?(?:la|les) (?:\p{L}+ )?différences? (?:\p{L}+ )?entre) ITEMS"
            r"(?: (?:en termes de|en matière de|pour) ASPECT)?",
            r"(?P<aspect>(?i:lequel|laquelle|lesquels|quel|quelle|qui) [^,:]+?)\s*[,:] (?P<items>.+ ou .+)",
        ),
        shared=(
            r"(?i:quel(?:le)?s? (?:est|sont|était|étaient) |explique[rz]? |décri[st] |donne[rz]? )?"
            r"ITEMS (?P<of>de |du |des |d['’])(?P<whole>.+)",
        ),
        of="{item} {of}{whole}",
        alone="Qu'est-ce qui caractérise {item} ?",
        each=r"\b(?:respectivement|respecti(?:f|ve)s?|chacune?)\b",
        pronouns=r"\b(?:ils?|elles?|lui|leurs?|son|sa|ses|cela|ce|cette|celui-ci|celle-ci|ceux-ci)\b",
    ),
    "es": Words(
        joint=_SPACED_JOINT.replace("WORDS", "y|e|o|u"),
        joint_of_compared=_SPACED_JOINT.replace("WORDS", "y|e|o|u|con"),
        compared=(
            r"(?i:compar(?:a|ar|e|en)) (?:el |la |los |las )?(?P<aspect>[\p{Ll} ,-]+?) de ITEMS",
            r"(?i:compar(?:a|ar|e|en)(?: a)?|comparación (?:de|entre)) ITEMS"
            r"(?: (?:en cuanto a|en términos de|según|respecto a|con respecto a|por) ASPECT)?",
            r"(?i:(?:cuál(?:es)? (?:es|son) )?(?:la|las) (?:\p{L}+ )?diferencias? (?:\p{L}+ )?entre) ITEMS"
            r"(?: (?:en cuanto a|en términos de) ASPECT)?",
            r"(?P<aspect>(?i:cuál|qué|quién) [^,:]+?)[,:] ¿?(?P<items>.+ [ou] .+)",
        ),
        shared=(r"(?i:cuál(?:es)? (?:es|son|era|eran) |explica |describe |dime )?ITEMS (?P<of>de|del) (?P<whole>.+)",),
        of="{item} {of} {whole}",
        alone="¿Qué caracteriza a {item}?",
        each=r"\b(?:respectivamente|cada un[oa])\b",
        pronouns=r"\b(?:él|ellas?|ellos|sus?|lo|le|les|est[eao]s?|es[eao]s?|esto|eso)\b",
    ),
    "zh": Words(
        joint=_UNSPACED_JOINT.replace(
            "WORDS",
            r"[、，,]\s*(?:和|以及|与|與|还有)?|以及|还是|還是|或者|(?<![共温缓饱柔总])和(?![平谐解睦服约])|(?<![参给])[与與](?!会)|(?<=[\p{Latin}\p{N}])\s*跟\s*",
        ),
        compared=(
            r"(?:请|請)?(?:比较|对比|比較|對比)(?:一下)?ITEMS(?:在(?P<aspect>.+?)(?:方面|上)(?:的.*)?|的(?P<aspect>.+?))?",
            r"ITEMS(?:之间|之間)?(?:在(?P<aspect>.+?)(?:方面|上))?(?:的|有什么|有什麼|有何|有哪些|主要)*(?:区别|差异|不同|差别|异同|區別|差異|差別|異同).*",
            r"ITEMS[，,]?(?:哪个|哪個|哪一个|哪一個|谁|誰)(?P<aspect>.+)",
        ),
        shared=(r"(?P<whole>[^的]+)的ITEMS(?:分别|分別|各)?(?:是什么|是什麼|是多少|是谁|是誰|有哪些|有多少|在哪里|在哪裡|如何|怎么样)?",),
        of="{whole}的{item}",
        alone="{item}有什么特点？",
        each=r"分别|分別|各自|各",
        pronouns=r"[它他她其此该該这這那]",
        spaced=False,
    ),
    "ja": Words(
        joint=_UNSPACED_JOINT.replace(
            "WORDS",
            r"[、，,・]\s*(?:そして|および|及び)?|および|及び|または|(?<=[\p{Han}\p{Katakana}ー\p{Latin}\p{N}）])と(?=[\p{Han}\p{Katakana}\p{Latin}\p{N}（])",
        ),
        compared=(
            r"ITEMSの(?:主な)?(?:違い|相違点|差).*",
            r"ITEMSを(?:(?P<aspect>[^、]+?)(?:で|について|に関して|の(?:観点|面)(?:から|で)))?比較.*",
            r"ITEMSの(?P<aspect>.+?)を比較.*",
            r"ITEMS(?:では|で|は)?、?(?:どちら|どれ)(?:が|の方が|のほうが)(?P<aspect>.+?)",
        ),
        shared=(r"(?P<whole>[^の]+)のITEMS(?:は|を|について|とは).*", r"(?P<whole>[^の]+)のITEMS"),
        of="{whole}の{item}",
        alone="{item}の特徴は何ですか？",
        each=r"それぞれ|各々",
        pronouns=r"それ|その|これ|この|彼|そこ|同[社氏国]",
        spaced=False,
    ),
    "ar": Words(
        # "and" is written as part of the next word; these words begin with that letter by themselves.
        joint=r"(?:\s*[،,]\s*(?:و\s*)?|\s+(?:و|أو|أم|مقابل)\s+|\s+و(?=[\p{L}\p{N}]{2})(?!زار|زير|قت|طن|لاي|كال|حد|سائل|سيل|اشنطن|يندوز|اتس|سط|ضع|ثيق|صف|رق))",
        compared=(
            r"(?:ما\s?(?:هو|هي)?\s?|اشرح\s)?(?:الفرق|الفروق|الاختلاف|الاختلافات) بين ITEMS(?: (?:من حيث|من ناحية|في) ASPECT)?",
            r"(?:قارن|مقارنة|المقارنة)(?:ي|وا)? بين ITEMS(?: (?:من حيث|من ناحية|في) ASPECT)?",
            r"(?P<aspect>(?:أيهما|أيها|أي) [^،:]+?)[،:] ITEMS",
        ),
        shared=(),
        of="",
        alone="ما خصائص {item}؟",
        each=r"على التوالي|كل من",
        pronouns=r"\b(?:ذلك|هذا|هذه|تلك|منها?|فيها?|لها?|عنها?|بها?)\b",
    ),
}
