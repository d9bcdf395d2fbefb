"""Invented names, places and sentences."""

FIRST_NAMES = (  # noqa: SIM905 - a list would take a line per name
    "Amelia Anna Aurélie Ben Björn Camille Chloé Clara Daniel David Elif Élodie Emil Emma"
    " Finn François Freya George Greta Hannah Henri Isla Jack Jörg Jürgen Käthe Léa Lena Leon"
    " Louis Lukas Maëlys Marie Max Mia Nadia Noah Olga Olivia Oscar Paul Pauline Priya René"
    " Rosa Samuel Sofia Sören Théo Thomas Ursula Victor Yusuf Zoë"
).split()
LAST_NAMES = (  # noqa: SIM905 - a list would take a line per name
    "Adams Bachmann Bailey Becker Bernard Böhm Brown Çelik Clarke Cooper Dubois Dupont Evans"
    " Fischer Fournier Garcia Gauthier Girard Groß Hall Hartmann Hughes Jäger Jones Kaur"
    " Keller Khan König Krüger Lambert Lefèvre Lemaître Lewis Martin Mercier Meyer Moreau"
    " Morris Müller Neumann O'Brien Patel Petit Phillips Richter Robert Roux Schäfer Schmidt"
    " Scholz Shaw Simon Taylor Thompson Turner Vogel Walker Weiß Williams Wolff Wood Wright"
    " Zając Zimmermann"
).split()
COMPANIES = (
    "Albrecht Logistik",
    "Ashdown & Sons",
    "Atelier Marchand",
    "Brightwater Foods",
    "Colline Bio",
    "Dunmore Engineering",
    "Fährhaus Hotels",
    "Grünwald Energie",
    "Harbour Street Studios",
    "Imprimerie Vasseur",
    "Kestrel Insurance",
    "Lindner Pharma",
    "Maison Perrault",
    "Nordlicht Software",
    "Pinewood Clinics",
    "Quarzwerk",
    "Rivière Textiles",
    "Stellar Freight",
    "Tannenberg Bau",
    "Whitcombe Retail",
)
CITIES = (
    ("Berlin", "Berlin", "DE", "10115"),
    ("München", "Bayern", "DE", "80331"),
    ("London", "England", "GB", "EC1A 1BB"),
    ("Manchester", "England", "GB", "M1 1AE"),
    ("Paris", "Île-de-France", "FR", "75001"),
    ("Lyon", "Auvergne-Rhône-Alpes", "FR", "69001"),
    ("Zürich", "ZH", "CH", "8001"),
    ("Boston", "MA", "US", "02108"),
)
STREETS = (
    "Bahnhofstraße",
    "Church Lane",
    "Gartenweg",
    "High Street",
    "Lindenallee",
    "Mill Road",
    "Place du Marché",
    "Rue de l'Église",
    "Schillerplatz",
    "Station Road",
)
SENTENCES = (
    "Works closely with the team and asks for feedback early.",
    "The handover to the night shift takes about half an hour.",
    "Please send the signed documents before the end of the month.",
    "Knows the product well and explains it in simple words.",
    "We agreed on two days of remote work per week.",
    "Bitte Rückfragen an die Personalabteilung, “nicht” an den Einkauf.",
    "The budget for this position was approved last quarter.",
    "Prefers written updates & short meetings.",
    "Le poste est ouvert à toutes les candidatures.",
    "Covers safety rules, first steps, and a short test at the end.",
    "Reached all goals; the next review is planned for spring.",
    "Needs a second monitor and an adjustable desk.",
    "Available from the first of the month at the earliest.",
    "Travels to customers about one week in four.",
    "The references were checked and are very good.",
)
MAIL_DOMAINS = ("example.com", "example.org", "example.net")
