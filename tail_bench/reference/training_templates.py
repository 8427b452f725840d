"""The templates: three requests of each kind with random numbers and names, one of the three held out from training."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tail_bench.reference.training_kinds import Draft, Part, extraction, function, piece, schedule, sums, table

FIRST = (
    "Amira", "Bjarne", "Carlotta", "Dmitri", "Esperanza", "Fergus", "Giulia", "Hanneke", "Ismail", "Jolanta", "Kwame",
)  # fmt: skip
LAST = (
    "Abernathy", "Bergstrom", "Castellano", "Dubrovsky", "Eriksen", "Fontaine", "Gallagher", "Hashimoto", "Iversen",
)  # fmt: skip
TOWNS = (
    "Alderbrook", "Bexmoor", "Castlewick", "Dunmarsh", "Eastholme", "Fairhollow", "Greywater", "Inverlay",
)  # fmt: skip


def _people(rng: Random, n: int) -> list[str]:
    firsts, lasts = rng.sample(FIRST, n), rng.sample(LAST, n)
    return [f"{a} {b}" for a, b in zip(firsts, lasts, strict=True)]


def _day(rng: Random) -> str:
    return f"2023-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"


def math_paint(rng: Random) -> Draft:
    """A room to be painted."""
    long, wide, high = rng.randint(4, 9), rng.randint(3, 7), rng.choice((2.4, 2.5, 2.6, 3))
    cover, price, doors = rng.randint(6, 12), rng.randint(11, 29) + 0.5, rng.randint(2, 4)
    parts = [
        Part("Area of the ceiling", "m²", (long, "×", wide), (long, "×", high)),
        Part("Skirting for one long and one short wall", "m", (long, "+", wide), (wide, "+", high)),
        Part("Wallpaper for one long wall", "m²", (long, "×", high), (wide, "×", high)),
        Part("Paint for two coats of the ceiling", "litres", (long, "×", wide, "×", 2, "/", cover), (long, "/", cover)),
        Part("Price of five tins", "€", (5, "×", price), (doors, "×", price)),
        Part("Hours for the doors at 45 minutes each", "hours", (doors, "×", 45, "/", 60), (doors, "×", 45, "/", 100)),
    ]
    story = (
        f"Our club room is {long} m long, {wide} m wide and {high} m high, with {doors} doors. One litre covers"
        f" {cover} m², and a tin costs €{price}. What I need to know:"
    )
    wish = "Show each step, then list the results by number with their units."
    return sums(rng, story, parts, wish, "{ask} is {step}.")


def math_trip(rng: Random) -> Draft:
    """A drive with friends."""
    way, use, price = rng.randint(18, 64) * 10, rng.randint(50, 84) / 10, rng.randint(160, 199) / 100
    people, speed, nights = rng.randint(3, 6), rng.choice((80, 90, 100, 110)), rng.randint(2, 5)
    room = rng.randint(62, 140)
    parts = [
        Part("Kilometres there and back", "km", (2, "×", way), (way, "+", speed)),
        Part("Fuel for both ways", "litres", (2, "×", way, "×", use, "/", 100), (way, "×", use, "/", 100)),
        Part("Price of a full tank of 50 litres", "€", (50, "×", price), (people, "×", price)),
        Part("Driving time one way", "hours", (way, "/", speed), (2, "×", way, "/", speed)),
        Part("Rooms for all nights", "€", (nights, "×", room), (people, "×", room)),
        Part("Rooms per person", "€", (nights, "×", room, "/", people), (room, "/", people)),
    ]
    story = (
        f"{people} of us drive to the sea, {way} km each way, in a car that takes {use} litres per 100 km at €{price}"
        f" a litre. We reckon with {speed} km per hour on average and stay {nights} nights at €{room} a night for the"
        " whole cabin. Can you help me with these?"
    )
    return sums(rng, story, parts, "A short working for each, then the numbered results.", "For the {ask}, {step}.")


def math_printing(rng: Random) -> Draft:
    """A print run (held out)."""
    copies, pages, sheet = rng.randint(12, 48) * 50, rng.randint(6, 20) * 4, rng.choice((4, 8))
    cents, weight = rng.randint(2, 7), rng.randint(9, 22) * 10
    postage, minute = rng.randint(95, 260) / 100, rng.randint(20, 60)
    parts = [
        Part("Sheets for the whole run", "sheets", (copies, "×", pages, "/", sheet), (copies, "×", pages)),
        Part("Price of the paper for 9,000 sheets", "€", (9000, "×", cents, "/", 100), (copies, "×", cents, "/", 100)),
        Part("Weight of all copies", "kg", (copies, "×", weight, "/", 1000), (pages, "×", weight, "/", 1000)),
        Part("Postage if all are mailed", "€", (copies, "×", postage), (sheet, "×", postage)),
        Part("Hours on the press", "hours", (copies, "/", minute, "/", 60), (copies, "/", minute, "/", 100)),
        Part("Pages in total", "pages", (copies, "×", pages), (copies, "+", pages)),
    ]
    story = (
        f"We print {copies} copies of a booklet with {pages} pages, {sheet} pages to a sheet. Paper is {cents} cents"
        f" a sheet, one copy weighs {weight} g and costs €{postage} to mail; the press makes {minute} copies a"
        " minute. I'd like:"
    )
    wish = "Calculate step by step and repeat the six answers at the end."
    return sums(rng, story, parts, wish, "{ask}: {step};")


def extraction_order(rng: Random) -> Draft:
    """An order by mail."""
    (buyer, clerk), (town, depot) = _people(rng, 2), rng.sample(TOWNS, 2)
    number, pieces, price, ordered, due = (
        f"PO-{rng.randint(10000, 99999)}",
        rng.randint(12, 90),
        rng.randint(110, 900),
        _day(rng),
        _day(rng),
    )
    thing, other = rng.sample(("oak shelves", "desk lamps", "steel brackets", "canvas blinds", "cork panels"), 2)
    letter = (
        f"Hello, this is {buyer}. On {ordered} I ordered {pieces} {thing} under number {number}, to be delivered to"
        f" {town} by {due}, not to the depot in {depot}. The total was {price} euros. Your colleague {clerk} had"
        f" first noted {other}."
    )
    fields = {
        "order_number": ("the number of the order", number),
        "buyer": ("full name of whoever ordered", buyer),
        "article": ("what was ordered", thing),
        "quantity": ("how many pieces", pieces),
        "total_eur": ("what all of it costs", price),
        "deliver_to": ("town of delivery", town),
        "deliver_by": ("last day for it", due),
    }
    ask = "Read the message at the end and give me one JSON object in a code block, nothing invented, with the keys"
    return extraction(rng, ask, letter, fields, (clerk, depot, other, ordered), "Taken from the message:")


def extraction_booking(rng: Random) -> Draft:
    """A hotel booking."""
    (guest, partner), (town, home) = _people(rng, 2), rng.sample(TOWNS, 2)
    arrive, leave, born = _day(rng), _day(rng), _day(rng)
    phone, room, adults = (
        f"0{rng.randint(300, 799)} {rng.randint(200000, 899999)}",
        rng.randint(100, 460),
        rng.randint(2, 5),
    )
    letter = (
        f'"Dear team, I would like room {room} again from {arrive} to {leave}, for {adults} adults. We come from'
        f" {home} and my {rng.choice(('husband', 'wife', 'friend'))} {partner}, born {born}, will sign in first."
        f' Please ring me on {phone} if your house in {town} is full. {guest}"'
    )
    fields = {
        "guest": ("who writes", guest),
        "phone": ("number for calls", phone),
        "house": ("town of the hotel", town),
        "room": ("room number as an integer", room),
        "adults": ("how many of them", adults),
        "check_in": ("first day", arrive),
        "check_out": ("last day", leave),
    }
    ask = "For our booking tool, fill this JSON record (a fenced block, all keys, dates as written):"
    return extraction(rng, ask, letter, fields, (partner, home, born), "All of it stands in the letter;")


def extraction_repair(rng: Random) -> Draft:
    """A report of damage (held out)."""
    (tenant, plumber, owner), (street, office) = _people(rng, 3), rng.sample(TOWNS, 2)
    seen, visit, built = _day(rng), _day(rng), _day(rng)
    ticket, flat, litres = f"T{rng.randint(1000, 9999)}-{rng.choice('ABCD')}", rng.randint(2, 48), rng.randint(15, 300)
    letter = (
        f"Voice note, typed up: it's {tenant} in flat {flat}, {street} Lane. Since {seen} the boiler drips, I have"
        f" caught {litres} litres so far. {owner} gave me ticket {ticket}. Can {plumber} come on {visit}? The boiler"
        f" was put in on {built}, so the office at {office} should have papers."
    )
    fields = {
        "ticket": ("reference given", ticket),
        "reported_by": ("caller", tenant),
        "flat": ("number of the flat", flat),
        "since": ("day it began", seen),
        "water_litres": ("water caught", litres),
        "craftsman": ("who is asked for", plumber),
        "wished_day": ("day wished for", visit),
    }
    ask = "Our caretaker app takes JSON only. Extract, in a fenced block and with these keys:"
    return extraction(rng, ask, letter, fields, (owner, office, built), "Read from the note:")


def writing_open_day(rng: Random) -> Draft:
    """An invitation."""
    town, room = rng.choice(TOWNS), rng.choice(("Blue Hall", "Long Barn", "Old Chapel", "Glass House"))
    day, hour, club = (
        rng.choice(("Saturday", "Sunday", "Friday")),
        f"{rng.randint(1, 5)} pm",
        rng.choice(("pottery", "chess", "rowing", "beekeeping")),
    )
    facts = [
        f"The {club} circle of {town} opens its doors this {day}.",
        f"We begin at {hour} sharp and stay until the evening.",
        f"You will find us in the {room}, behind the station.",
        f"Beginners get a splendid introduction to {club} from our oldest members.",
    ]
    items = {day: "weekend", hour: "lunchtime", room: "usual building"}
    task = f"Please write an invitation to the open day of our {club} circle in {town}. It has to obey this:"
    points = rng.sample(
        ("free coffee", "a raffle", "guided tours", "live music", "a quiz for children"), rng.randint(3, 4)
    )
    return piece(
        rng, task, facts, items, points, ("splendid", "amazing"), f"Call {rng.randint(20000, 99999)} to reserve."
    )


def writing_mug(rng: Random) -> Draft:
    """A product text."""
    make, colour = (
        rng.choice(("Tarn", "Fjell", "Corrie", "Loch")),
        rng.choice(("slate grey", "moss green", "rust red", "sand white")),
    )
    size, years = f"{rng.randint(28, 45)} cl", f"{rng.randint(3, 12)} years"
    facts = [
        f"The {make} mug holds {size} of whatever keeps you warm.",
        f"Its glaze is {colour}, and it is burnt in by hand.",
        f"We vouch for handle and rim for {years} of daily use.",
        "Thanks to a double wall your tea stays hot for a good while.",
    ]
    items = {size: "plenty", colour: "colourful", years: "a long time"}
    task = f"Text for our web shop about the {make} mug, please. The editor checks that it keeps to these rules:"
    points = rng.sample(("safe in the dishwasher", "stackable", "made from local clay", "comes in a gift box"), 3)
    return piece(
        rng, task, facts, items, points, ("good", "perfect"), f"Order number {rng.randint(1000, 9999)}-{make[0]}."
    )


def writing_vacancy(rng: Random) -> Draft:
    """A job advertisement (held out)."""
    town, trade = rng.choice(TOWNS), rng.choice(("bicycle mechanic", "baker", "bookbinder", "gardener"))
    hours, pay, start = (
        f"{rng.randint(18, 38)} hours",
        f"{rng.randint(15, 29)} euros",
        rng.choice(("March", "June", "October")),
    )
    facts = [
        f"A family firm in {town} is looking for a {trade}.",
        f"You work {hours} a week and choose your own days.",
        f"The pay is {pay} an hour from the first day on.",
        f"The post is free from {start} and open to newcomers.",
        "You should like clear words, early mornings and reliable colleagues.",
    ]
    items = {hours: "some hours", pay: "fair", start: "soon"}
    task = f"Draft a vacancy notice: a firm in {town} wants a {trade}. What our union agreed on for such notices:"
    points = rng.sample(("tools provided", "six weeks of leave", "a bus to the door", "paid training"), 3)
    return piece(
        rng, task, facts, items, points, ("reliable", "young"), f"Ring {rng.randint(30000, 89999)} after work."
    )


def table_libraries(rng: Random) -> Draft:
    """Loans of libraries."""
    story = "Loans of our branch libraries, from the lending system:"
    wish = (
        "Summarise for the town newsletter: totals of both years and the difference, the branch with the highest"
        " count and its share of all (one decimal), and the lowest. No explanations of why, we do not know."
    )
    return table(rng, story, ("Branch", "2021", "2022"), rng.sample(TOWNS, rng.randint(4, 6)), wish)


def table_orchards(rng: Random) -> Draft:
    """Crates of apples."""
    sorts = ("Bramley", "Gala", "Russet", "Pippin", "Jonagold", "Discovery", "Braeburn")
    story = "Crates picked, by variety, last autumn and this one."
    wish = (
        "In a few lines: how many crates this season and the last, by how many that differs, which variety led this"
        " time and with what percentage of the harvest, which came last. Stick to the figures."
    )
    return table(rng, story, ("Variety", "Last", "This"), rng.sample(sorts, rng.randint(4, 6)), wish)


def table_shelter(rng: Random) -> Draft:
    """Animals in shelters (held out)."""
    story = "Animals rehomed by the shelters of our association:"
    wish = (
        "Write the paragraph for donors. It needs the sum for each half-year and how far apart they are, the shelter"
        " that rehomed most in Autumn and what part of the sum that is, and the one with fewest. Nothing that is not"
        " in there."
    )
    return table(rng, story, ("Shelter", "Spring", "Autumn"), rng.sample(LAST, rng.randint(4, 6)), wish)


def code_chunks(rng: Random) -> Draft:
    """Cutting a list into pieces."""
    size, most = rng.randint(3, 9), rng.randint(20, 90)
    rules = [
        (f"The default of `size` is {size}.", f"size = size or {size}", f"size = size or {size - 1}"),
        ("A negative `size` raises `ValueError`.", "if size < 0:\n    raise ValueError(size)",
         "if size < 0:\n    return []"),
        ("An empty list gives an empty list.", "if not items:\n    return []", ""),
        (f"More than {most} pieces raise `OverflowError`.", f"if len(items) > {most} * size:\n    raise OverflowError",
         f"if len(items) > {most}:\n    raise OverflowError"),
        ("The last piece may be shorter.", "parts = [items[i : i + size] for i in range(0, len(items), size)]",
         "parts = [items[i : i + size] for i in range(0, len(items) - size, size)]"),
    ]  # fmt: skip
    ask = "Please write `chunked(items, size=None)` in Python, which cuts a list into pieces. Mind the following:"
    return function(rng, ask, "def chunked(items, size=None):", rules, "return parts", "It works so:")


def code_mask(rng: Random) -> Draft:
    """Masking a card number."""
    shown, sign, least = rng.randint(2, 5), rng.choice("*#•"), rng.randint(8, 12)
    rules = [
        ("Spaces and dashes are ignored.", 'digits = card.replace(" ", "").replace("-", "")',
         'digits = card.replace(" ", "")'),
        (f"Fewer than {least} digits raise `ValueError`.", f"if len(digits) < {least}:\n    raise ValueError(card)",
         f"if len(digits) <= {least}:\n    raise ValueError(card)"),
        ("Anything but digits raises `ValueError`.", "if not digits.isdigit():\n    raise ValueError(card)", ""),
        (f"The last {shown} digits stay readable.", f"kept = digits[-{shown}:]", f"kept = digits[:{shown}]"),
        (f"Hidden digits appear as `{sign}`.", f'hidden = "{sign}" * (len(digits) - {shown})',
         f'hidden = "x" * {shown}'),
    ]  # fmt: skip
    ask = "A Python function `mask_card(card)` for receipts is needed, taking and returning a string. The rules:"
    return function(rng, ask, "def mask_card(card):", rules, "return hidden + kept", "About the code:")


def code_ranks(rng: Random) -> Draft:
    """Ranking scores (held out)."""
    first, drop, top = rng.randint(1, 3), rng.randint(2, 15), rng.randint(5, 25)
    rules = [
        ("None among the scores is skipped.", "known = [s for s in scores if s is not None]",
         "known = [s for s in scores if s]"),
        (f"Scores below {drop} are left out, {drop} itself is kept.", f"known = [s for s in known if s >= {drop}]",
         f"known = [s for s in known if s > {drop}]"),
        ("Highest score first.", "order = sorted(set(known), reverse=True)", "order = sorted(set(known))"),
        (f"Places start at {first}, equal scores share one.",
         f"places = {{s: n for n, s in enumerate(order, {first})}}",
         "places = {s: n for n, s in enumerate(order)}"),
        (f"At most {top} entries are returned.", f"result = [(places[s], s) for s in order][:{top}]",
         f"result = [(places[s], s) for s in order][:{top - 1}]"),
    ]  # fmt: skip
    ask = "Could you code `rank_scores(scores)` for our quiz night? It returns pairs of place and score, and:"
    return function(rng, ask, "def rank_scores(scores):", rules, "return result", "Explained briefly:")


def schedule_workshop(rng: Random) -> Draft:
    """A training day."""
    tasks = [
        "Welcome",
        *rng.sample(("First aid", "Fire drill", "Lifting loads", "Ladders", "Noise", "Chemicals"), 4),
        "Feedback",
    ]
    story = "I'm planning the safety day of our depot. The units in their order:"
    return schedule(rng, story, tasks, "Coffee break", "Give me the timetable from-to, with minutes, and when it ends.")


def schedule_kitchen(rng: Random) -> Draft:
    """Cooking a dinner."""
    tasks = rng.sample(("Soup stock", "Bread dough", "Roast", "Gravy", "Salad", "Trifle", "Dumplings"), 5)
    story = "One cook, one stove, and so one dish after another, in this sequence:"
    return schedule(rng, story, tasks, "Rest", "Which clock times does that give for each? State the finish too.")


def schedule_sports(rng: Random) -> Draft:
    """A school sports day (held out)."""
    tasks = rng.sample(("Sprint", "Long jump", "Relay", "Shot put", "Hurdles", "Sack race", "Archery"), 5)
    story = "Sports day of class seven, a single field, events back to back as listed:"
    return schedule(
        rng, story, tasks, "Water stop", "I want start and end of every event, and the closing time for parents."
    )


_ALL: tuple[Callable[[Random], Draft], ...] = (
    math_paint, math_trip, math_printing,
    extraction_order, extraction_booking, extraction_repair,
    writing_open_day, writing_mug, writing_vacancy,
    table_libraries, table_orchards, table_shelter,
    code_chunks, code_mask, code_ranks,
    schedule_workshop, schedule_kitchen, schedule_sports,
)  # fmt: skip
TEMPLATES: dict[str, Callable[[Random], Draft]] = {template.__name__: template for template in _ALL}
HELD_OUT = frozenset(
    ("math_printing", "extraction_repair", "writing_vacancy", "table_shelter", "code_ranks", "schedule_sports")
)
"""Templates that nothing is trained on: how the model does on them says what it has learnt beyond their wording."""
TRAINING = tuple(name for name in TEMPLATES if name not in HELD_OUT)
