"""What the pages of `sites.py` say, where it is not one of the texts in `sources/`: threads, products, offers and services."""

# ruff: noqa: E501  (texts and templates)
from __future__ import annotations

THREAD = {
    "title": "Best way to dry apple rings without a dehydrator?",
    "posts": [
        ("mosshollow", "14 October 2024, 18:02", "<p>We have two trees and about sixty kilos of apples that do not keep. I would like to dry a part of them, but I do not want to buy another machine that stands around for eleven months.</p><p>The oven has no setting below 75 degrees. Has anybody done it on strings above the stove, and how long did it take?</p>"),
        ("Karlsson", "14 October 2024, 19:40", "<p>Strings work, if your kitchen is dry. Cut the rings no thicker than six millimetres, dip them in water with a little lemon juice and leave a finger's width between them. Mine took four days in October and two in a heated room in January.</p><p>Do not let them touch the wall, they go mouldy there first.</p>"),
        ("old_tin_roof", "15 October 2024, 07:15", "<blockquote><cite>Karlsson wrote:</cite><p>leave a finger's width between them</p></blockquote><p>This is the important part. I lost a whole batch because I was greedy. Since then I use bamboo sticks across a wooden crate, which is easier to carry outside when the sun comes out.</p>"),
        ("mosshollow", "22 October 2024, 20:31", "<p>Report after one week: the rings on sticks are leathery and sweet, the ones on strings near the window are still soft. Twelve kilos of apples became one kilo and a half. Thank you both!</p><ul><li>6 mm slices, lemon water: five days</li><li>10 mm slices: not dry after eight days</li></ul>"),
        ("Petra_W", "3 November 2024, 11:08", "<p>For the next time: put the oven on 75 with a wooden spoon in the door. The thermometer then shows 52 degrees in mine, and the rings are done over night. Costs about as much current as three pots of coffee.</p>"),
    ],
}  # fmt: skip

THREAD_DE = {
    "title": "Regenfass läuft über – wohin mit dem Wasser?",
    "posts": [
        ("Gartenzwerg61", "Do 8. Mai 2025, 17:22", "Hallo zusammen,<br><br>unser Regenfass fasst 300 Liter und ist nach jedem Gewitter in zehn Minuten voll. Der Überlauf geht direkt an die Hauswand, und der Keller wird langsam feucht. Eine Sickergrube dürfen wir wegen der Leitungen nicht graben. Was habt ihr gemacht?"),
        ("Lehmbauer", "Do 8. Mai 2025, 18:05", "Wir haben drei Fässer mit Schläuchen verbunden, alle auf gleicher Höhe. Wichtig ist, dass die Verbindung unten sitzt, dann füllen sie sich gleichmäßig. Kostenpunkt etwa 140 Euro, weil ich gebrauchte Weinfässer genommen habe."),
        ("Ute K.", "Fr 9. Mai 2025, 09:47", "Ein Fallrohrfilter mit Rückstau schaltet von selbst ab, sobald das Fass voll ist. Das Wasser läuft dann wieder in die Kanalisation. Bei uns seit sechs Jahren ohne Ärger, man muss nur im Herbst das Laub herausnehmen."),
        ("Gartenzwerg61", "So 11. Mai 2025, 20:10", "Danke! Der Filter ist bestellt. Die Weinfässer sehen schöner aus, aber meine Frau sagt, dass ich schon genug Fässer habe."),
    ],
}  # fmt: skip

QUESTION = {
    "title": "How can I merge overlapping time intervals without sorting the whole list again?",
    "posts": [
        ("<p>I keep a list of bookings as pairs of start and end, already merged and sorted. New bookings arrive one at a time. At the moment I append the new pair and run my merge over everything, which is far too slow with a million bookings:</p><pre class=\"lang-py s-code-block\"><code>def add(intervals, new):\n    intervals.append(new)\n    intervals.sort()\n    return merge(intervals)</code></pre><p>Is there a way that touches only the intervals near the new one?</p>", "rowan", 17),
        ("<p>Because the list is sorted and free of overlaps, everything that the new interval touches is one contiguous slice. Find its two ends by bisection and replace the slice:</p><pre class=\"lang-py s-code-block\"><code>from bisect import bisect_left, bisect_right\n\ndef add(starts, ends, start, end):\n    low = bisect_left(ends, start)\n    high = bisect_right(starts, end)\n    if low &lt; high:\n        start = min(start, starts[low])\n        end = max(end, ends[high - 1])\n    starts[low:high] = [start]\n    ends[low:high] = [end]</code></pre><p>The search takes logarithmic time; the assignment still moves the tail of the list, but as one block of memory, which is quick in practice.</p>", "Dunya Sato", 31),
        ("<p>If the moving of the tail hurts, use a balanced tree or the package <code>sortedcontainers</code>. For fewer than about ten million pairs I would not bother: I measured 40 microseconds for each insertion with plain lists.</p>", "henk", 6),
    ],
    "comments": ["Are the intervals open or closed at the end?", "Closed at the start, open at the end. Sorry, I should have said so."],
}  # fmt: skip

PRODUCTS = [
    ("Alder kettle, 1.2 litres", "38.00", "Enamelled steel, for gas and induction. The handle stays cold for nine minutes."),
    ("Alder teapot", "42.50", "Stoneware with a strainer that does not drip. Holds four cups."),
    ("Birch bread board", "24.00", "Oiled birch with a groove for crumbs, 40 by 26 centimetres."),
    ("Cloud apron", "31.90", "Washed linen in fog grey, with a loop for a towel."),
    ("Drift butter dish", "19.00", "Turn it over and it keeps butter soft at room temperature."),
    ("Fern salad servers", "16.40", "A pair, carved from a single piece of plum wood."),
    ("Gale storm lantern", "55.00", "Burns for eighteen hours with one filling of lamp oil."),
    ("Heath blanket", "89.00", "Undyed wool from mountain sheep, woven in a mill of 1897."),
]

PRODUCT = {
    "name": "Gale storm lantern",
    "price": "55.00",
    "short": "A lantern of galvanised steel that stays lit in wind force nine and burns for eighteen hours with one filling.",
    "long": [
        "The Gale has been made in the same workshop since 1931. Air is drawn in at the top and led to the flame through the two side tubes, so that a gust can neither blow it out nor make it flicker. A lever lifts the glass by two centimetres for lighting it with a match.",
        "Use clean lamp oil or paraffin. The wick lasts about a year if it is trimmed every week; a spare one is fixed beneath the tank. Do not use the lantern in a closed tent.",
    ],
    "features": ["Galvanised steel, can be repaired with soft solder", "Glass of borosilicate, available as a spare part", "Tank for 0.34 litres", "Folding bail with a wooden grip"],
    "specs": [("Height", "27 cm"), ("Diameter", "15.5 cm"), ("Weight", "0.72 kg"), ("Burning time", "18 hours"), ("Light", "about 9 candela"), ("Made in", "Harlow Bay")],
    "reviews": [("Signe", "Bright enough to read by, and it survived a fall from the boat shed. The paint on mine came a little scratched.", 4), ("T. Ngata", "We lost power for three days and this was the only lamp in the house that did not need charging.", 5)],
}  # fmt: skip

JOBS = [
    ("Lock keeper (part time)", "Canal Trust", "Weirham", "You operate two locks on weekends between April and October, talk to the crews and keep the gauge book. A boat licence is welcome but not required."),
    ("Restorer of paper", "City Archive", "Ostrey", "Maps and letters from four centuries wait for you. You have finished training in conservation and a steady hand."),
    ("Night baker", "Miller & Daughters", "Dunmoor", "From two until nine, five nights a week, with a team of three. We pay the taxi when the bus does not run."),
    ("Data steward for tide gauges", "Harbour Office", "Varn", "You check the readings of forty gauges, find out why they are wrong and write it down. Python helps."),
    ("Teacher of mathematics and music", "Lakeside School", "Varn", "Twenty hours, both subjects or one of them. The piano was tuned in spring."),
    ("Shepherd for the dyke", "Dyke Board", "Sorren Delta", "Six hundred sheep, two dogs and a caravan with a stove, from March to November."),
]  # fmt: skip

SERVICE = {
    "name": "Ledgerling",
    "claim": "Bookkeeping for workshops that would rather be in the workshop",
    "lead": "Ledgerling reads your receipts, sorts them into the right accounts and tells you on Friday how much you may pay yourself.",
    "features": [
        ("Photograph it and forget it", "Take a picture of a receipt and throw it into the box. Ledgerling recognises supplier, date, tax and amount, and asks only when two of them do not fit."),
        ("A number for every Friday", "No dashboards. Each Friday at four you get one message with one number: what is left after tax, rent and the bill that is due on Monday."),
        ("Your accountant is invited", "Give your accountant a key of her own. She sees the journal, corrects entries and exports the year in the format that she likes."),
    ],
    "plans": [("Bench", "9", "up to 40 receipts a month, one user"), ("Workshop", "24", "up to 300 receipts a month, five users, payroll"), ("Guild", "60", "unlimited receipts, several companies, telephone support")],
    "faq": [
        ("Do I have to keep the paper?", "In most countries not, because every picture is stored unchanged for ten years with a time stamp. We tell you when your country is an exception."),
        ("What happens when I cancel?", "You can download everything as a folder of pictures and one table. We delete our copy after ninety days."),
        ("Can it read handwriting?", "Yes, if your mother could read it. Receipts that nobody can read are shown to you once a week."),
    ],
    "quote": ("I found eleven hundred euros that I had forgotten to invoice. That was the first afternoon.", "Mette Lind, saddler"),
}  # fmt: skip

CLINIC = {
    "name": "Tierarztpraxis am Mühlbach",
    "intro": "Seit 1998 behandeln wir Hunde, Katzen, Kaninchen und gelegentlich eine Schildkröte. Unsere Praxis liegt ebenerdig am Mühlbach, mit eigenem Eingang für Katzen, damit das Warten leiser wird.",
    "services": [
        (
            "Vorsorge",
            "Impfungen, Zahnkontrolle und eine jährliche Untersuchung, bei der wir auch das Gewicht ehrlich besprechen. Für ältere Tiere empfehlen wir zweimal im Jahr ein Blutbild.",
        ),
        (
            "Operationen",
            "Wir operieren dienstags und donnerstags. Sie dürfen bis zur Narkose dabeibleiben und werden angerufen, sobald Ihr Tier aufwacht.",
        ),
        (
            "Hausbesuche",
            "Im Umkreis von fünfzehn Kilometern kommen wir zu Ihnen, wenn der Transport für das Tier zu anstrengend wäre. Die Anfahrt kostet 18 Euro.",
        ),
    ],
    "hours": [("Montag bis Freitag", "8–12 und 15–18 Uhr"), ("Samstag", "9–11 Uhr"), ("Notdienst", "nach Anruf")],
}

STORIES = [
    ("Ferry captains to be trained on a simulator from spring", "The county has bought a bridge simulator that can show any harbour of the coast in fog, snow and at night. Forty captains will use it each year."),
    ("A village prints its own maps again", "Because the official map still showed a road that was washed away, Ostrey measured its paths itself and printed nine hundred copies."),
    ("Owls move into the abandoned signal box", "Railway workers found four chicks between the levers. Trains now pass at half speed until the end of June."),
    ("Why the price of linseed oil has tripled", "Two dry summers and one broken mill: a visit to the only press that is still working within a day's drive."),
    ("School orchestra wins with an instrument made of pipes", "The winning piece was played on drain pipes that the caretaker had kept since the renovation."),
    ("Night trains return, but only on Thursdays", "The operator wants to see whether anybody boards at three in the morning before it buys more carriages."),
]  # fmt: skip
