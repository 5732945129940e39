"""The demo's customers: the same ones for the seeded history and for the traffic."""

from __future__ import annotations

import string
from dataclasses import dataclass

from demo.chance import Chance

NUMBER = 1
CUSTOMERS = 300
TIERS = ((0.60, "free"), (0.29, "plus"), (0.11, "pro"))
NAMES = (
    "Aaliyah Abebe Adam Adriana Agnes Ahmed Aiko Alejandro Amara Amelie Anders Anika Anton Astrid Ayumi Beatriz "
    "Bence Camille Carlos Chiara Chloe Daniel Daria Diego Dmitri Elena Elif Emeka Emma Erik Esther Fatima Felix "
    "Freya Gabriel Giulia Grace Hana Hannah Hugo Ida Imani Ines Ingrid Isaac Ivan Jakub Jamal Jana Javier Jin "
    "Joana Jonas Julia Kaito Karim Katarina Kofi Lara Leila Leo Lina Linh Lucas Luna Magnus Maja Malik Marco "
    "Maria Mateo Maya Mei Mia Milan Mira Mohamed Nadia Naomi Nikolai Nina Noah Nora Olga Oliver Omar Oskar "
    "Pablo Petra Priya Rafael Ravi Rosa Ruben Sakura Samuel Sara Sofia Stefan Sven Tara Theo Thomas Tomas Uma "
    "Valentina Victor Vera Wei Yara Yusuf Zoe Zuzana"
)
SURNAMES = (
    "Adeyemi Ali Almeida Andersson Bauer Becker Berg Bianchi Brown Carvalho Chen Costa Dahl Diaz Dubois Eriksen "
    "Farah Fischer Garcia Ghosh Gomez Haddad Hansen Hoffmann Horvat Ibrahim Ito Ivanova Jansen Johansson Kaya "
    "Keller Khan Kim Kovacs Kowalski Kumar Larsen Laurent Lee Lindqvist Lopez Marino Martin Mbeki Mensah Meyer "
    "Moreau Murphy Nakamura Nguyen Novak Nowak Okafor Olsen Ortiz Owusu Papadopoulos Park Patel Pereira Petrov "
    "Popescu Reyes Ricci Rossi Sato Schmidt Silva Singh Soto Svensson Takahashi Tan Tanaka Varga Virtanen Vogel "
    "Wagner Walker Wang Weber Wilson Wong Yilmaz Zhang"
)
COMPANIES = (
    "amberlane brightwell copperfox driftwood eastgate fernhill glasshouse harbour inkwell juniper kestrel "
    "lighthouse maplewood northlight oakline papercrane quietcorner riverbend saltmarsh tidewater umbra "
    "velvetroom westfield yellowdoor"
)
TRADES = ("studio", "shop", "media", "design", "prints", "agency")
BASE62 = string.digits + string.ascii_letters


@dataclass(frozen=True)
class Person:
    """A customer. `joined` says when, as a share of the history's length (0: they were there before it began);
    `appetite` how much more or less they make than others of their tier."""

    id: str
    email: str
    tier: str
    joined: float
    appetite: float


def roster(number: int, count: int = CUSTOMERS) -> list[Person]:
    """The first `count` customers of the demo with this number. A longer roster begins with the shorter one."""
    return [person(number, index) for index in range(count)]


def person(number: int, index: int) -> Person:
    """One customer."""
    return draw(Chance(f"{number} person {index}"), index)


def draw(chance: Chance, index: int) -> Person:
    """Anybody: the number tells people of the same name apart."""
    tier = chance.weighted(TIERS)
    joined = 0.0 if chance.happens(0.35) else chance.random() ** 0.75
    appetite = min(chance.lognormvariate(-0.15, 0.55), 2.0)
    return Person(_id(chance), _email(chance, tier, index), tier, joined, appetite)


def _id(chance: Chance) -> str:
    return "cus_" + "".join(chance.choices(BASE62, k=14))


def _email(chance: Chance, tier: str, index: int) -> str:
    first, last = chance.choice(NAMES.split()).lower(), chance.choice(SURNAMES.split()).lower()
    if chance.happens({"free": 0.05, "plus": 0.35, "pro": 0.85}[tier]):
        return f"{first}.{last}@{chance.choice(COMPANIES.split())}-{chance.choice(TRADES)}.example"
    name = chance.choice(
        (f"{first}.{last}", f"{first[0]}{last}{index % 100}", f"{first}{last[0]}{index}", f"{last}.{first}")
    )
    return f"{name}@{chance.choice(('example.com', 'example.org', 'example.net', 'mail.example.com'))}"
