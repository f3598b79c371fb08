"""Notices in place of pages, and pages about the things that notices speak of."""

# ruff: noqa: E501  (whole texts)
from __future__ import annotations

import gzip
import time
from pathlib import Path

import pytest

from providers.reader.documents import convert
from providers.reader.notices import notice_in_place

SENTENCE = "The moon moves the sea twice a day, and the sea moves the sand along the shore. "
PARTNERS = "\n\n".join(
    f"Partner {n} GmbH: {purpose}"
    for n in range(40)
    for purpose in (
        "We use cookies and similar technologies to store and/or access information on a device.",
        "You can withdraw your consent or change your preferences at any time; some partners rely on legitimate interest.",
    )
)
NOTICES = [
    # bot checks and denials
    ("Just a moment...", "a.org", "a bot check"),
    ("Just a moment...", "# a.org\n\nVerifying you are human. This may take a few seconds.\n\na.org needs to review the security of your connection before proceeding.\n\nRay ID: 8f1\n\nPerformance & security by Cloudflare", "a bot check"),
    ("Attention Required! | Cloudflare", "# Sorry, you have been blocked\n\nYou are unable to access a.org\n\n## Why have I been blocked?\n\nThis website is using a security service to protect itself from online attacks. The action you just performed triggered the security solution. There are several actions that could trigger this block including submitting a certain word or phrase, a SQL command or malformed data.\n\n## What can I do to resolve this?\n\nYou can email the site owner to let them know you were blocked. Please include what you were doing when this page came up and the Cloudflare Ray ID found at the bottom of this page.", "a bot check"),
    ("Access Denied", "You don't have permission to access \"http://a.org/\" on this server.\n\nReference #18.2f", "access denied"),
    ("403 Forbidden", "nginx", "access denied"),
    ("Zugriff verweigert", "Sie haben keine Berechtigung, diese Seite aufzurufen.", "access denied"),
    ("a.org", "Our systems have detected unusual traffic from your computer network.", "a bot check"),
    ("a.org", "Checking your browser before accessing a.org.", "a bot check"),
    ("a.org", "Sorry, you have been blocked. You are unable to access a.org", "access denied"),
    ("a.org", "You don\u2019t have permission to access this resource.", "access denied"),
    # captchas
    ("a.org", "Please verify you are human by completing the action below.", "a captcha"),
    ("a.org", "Please complete the CAPTCHA to continue.", "a captcha"),
    ("a.org", "Veuillez confirmer que vous n'êtes pas un robot.", "a captcha"),
    ("a.org", "请验证您是真人", "a captcha"),
    # scripts
    ("App", "You need to enable JavaScript to run this app.", "JavaScript needed"),
    ("App", "Please turn on JavaScript in your browser.", "JavaScript needed"),
    ("App", "JavaScript is disabled in your browser.", "JavaScript needed"),
    ("App", "Bitte aktivieren Sie JavaScript, um fortzufahren.", "JavaScript needed"),
    ("App", "Veuillez activer JavaScript.", "JavaScript needed"),
    ("App", "Для работы сайта включите JavaScript.", "JavaScript needed"),
    ("App", "Loading...", "JavaScript needed"),
    # cookies
    ("News", "We value your privacy\n\nWe and our partners store cookies on your device.\n\nAccept all", "a cookie notice"),
    ("Nachrichten", "Wir und unsere Partner verwenden Cookies, um Inhalte zu zeigen.\n\nAlle akzeptieren\n\nAlle ablehnen", "a cookie notice"),
    ("Actualités", "Nous et nos partenaires utilisons des cookies.\n\nTout accepter\n\nVotre consentement", "a cookie notice"),
    # to log in, to pay
    ("a.org", "Please log in to continue.\n\nForgot your password?\n\nDon't have an account? Sign up", "a login wall"),
    ("a.org", "Bitte melden Sie sich an.\n\nPasswort vergessen?", "a login wall"),
    ("Tides", SENTENCE * 5 + "\n\nSubscribe to continue reading\n\nAlready a subscriber? Sign in", "a paywall"),
    ("Gezeiten", "Der Mond bewegt das Meer. " * 12 + "\n\nJetzt weiterlesen mit Plus. Bereits Abonnent?", "a paywall"),
    ("Marées", "La lune déplace la mer. " * 8 + "\n\nIl vous reste 80% de cet article à lire. Article réservé aux abonnés.", "a paywall"),
    # errors
    ("Page not found", "Sorry.", "page not found"),
    ("404 - Page not found | a.org", "Home\n\nSearch", "page not found"),
    ("Seite nicht gefunden", "Suche", "page not found"),
    ("a.org", "Oops! The page you are looking for could not be found.\n\nBack to the start", "page not found"),
    ("a.org", "La página que busca no existe.", "page not found"),
    ("502 Bad Gateway", "nginx/1.18.0", "a server's error page"),
    ("a.org", "Error establishing a database connection", "a server's error page"),
    # no site
    ("a.org", "This domain is for sale! Buy this domain.", "a parked domain"),
    ("a.org", "Diese Domain steht zum Verkauf.", "a parked domain"),
    ("Welcome to nginx!", "If you see this page, the nginx web server is successfully installed.\n\nWelcome to nginx!", "a parked domain"),
]  # fmt: skip


@pytest.mark.parametrize(("title", "text", "what"), NOTICES)
def test_notices(title: str, text: str, what: str) -> None:
    found = notice_in_place(title, text)
    assert found is not None and found.what == what
    assert found.gone == (what in ("page not found", "a parked domain"))


PAGES = [
    ("Tides", SENTENCE),
    ("Tides", f"{SENTENCE * 2}This site uses cookies."),
    ("", ""),
    ("Tides", SENTENCE * 6 + "\n\nPlease enable JavaScript to view the comments."),
    ("Tides", SENTENCE * 40 + "\n\nPlease log in to comment. Forgot your password?"),
    ("Tides", SENTENCE * 40 + "\n\nSubscribe to continue reading our newsletter. Already a subscriber?"),
    # about captchas, bots and scripts
    ("CAPTCHA", "A CAPTCHA tells people from programs. " * 40),
    ("CAPTCHA", "CAPTCHA is a type of challenge–response test used in computing to determine whether the user is human. The term was coined in 2003."),
    ("How captchas work", "A captcha asks people to read twisted letters. Sites such as banks show a page that says \"please verify you are human\". Programs that read pages fail at that, and so it keeps them away for some time. Machine learning has made the old kinds useless: programs solve twisted letters better than people do. Newer kinds look at how the mouse is moved."),
    ("JavaScript", "JavaScript is a language. It was made in ten days in 1995."),
    ("How to enable JavaScript in your browser", "# How to enable JavaScript\n\nMost browsers run scripts from the start.\n\n## Chrome\n\nOpen the menu with three dots, choose Settings, then Privacy and security, then Site settings. Scroll to Content, choose JavaScript and allow it for all sites.\n\n## Firefox\n\nType about:config in the address bar and confirm the warning. Search for javascript.enabled and set it to true with a double click.\n\n## Safari\n\nOpen Preferences from the menu, choose Security and mark the box beside JavaScript. Then load the page anew and see whether it works as it should."),
    # about cookies and privacy
    ("Cookies", "A cookie is a small piece of data. " * 40),
    ("HTTP cookie", "Cookies are small blocks of data created by a web server while a user is browsing a website. They are placed on the device by the browser. Authentication cookies tell whether a user is logged in. European law requires that websites ask before they set cookies that are not needed. The term was coined by Lou Montulli in 1994, after the magic cookie of Unix programs. Supercookies and zombie cookies are harder to delete."),
    ("Privacy Policy | a.org", PARTNERS),
    ("Court rules on cookie banners", "The court of justice ruled on Tuesday that a box which is ticked from the start is no consent. The case was brought by a consumer association against a lottery. The company had asked visitors to accept cookies of 57 partners. The judges said that silence is not agreement, and that a site must say how long its cookies live. Lawyers expect that many banners will have to change."),
    # about paying, logging in, errors and domains
    ("Forbidden City", SENTENCE),
    ("Just a Moment (film)", SENTENCE * 3),
    ("Newspapers and paywalls", "Readers of many newspapers meet a paywall. The Times began in 2010, and others followed. A metered paywall lets everybody read some articles in a month. Studies found that few readers of young age pay. " * 3),
    ("HTTP 404", "In computer network communications, 404 is a status code which says that the browser could reach the server, but the server could not find what was asked for. The first documented case appeared in 1992. Link rot is a frequent cause of it. Site owners often make pages of their own for it, with jokes and a search box."),
    ("Login with OAuth", "OAuth lets an application act for a user who has signed in elsewhere. The user is sent to the provider, proves who they are there and comes back with a code. The application exchanges that code for a token. " * 2),
    ("The market for domains", "Names of domains are bought and sold like houses. The name insurance.com was sold for 35 million dollars in 2010. Many names are parked, which means that they show nothing but advertisements. " * 2),
    ("Web server in five minutes", "Install the package with apt. Start it with systemctl. Open the address in a browser: a page greets you, and everything works. Then change the file in /etc/nginx to serve a folder of your own. Reload the server. Write a page and look at it. " * 2),
]  # fmt: skip


@pytest.mark.parametrize(("title", "text"), PAGES)
def test_pages(title: str, text: str) -> None:
    assert notice_in_place(title, text) is None


def test_made_pages_of_many_kinds_are_no_notices() -> None:
    folder = Path(__file__).parents[2] / "pages" / "html"
    for file in sorted(folder.glob("*.html.gz")):
        document = convert(gzip.decompress(file.read_bytes()), "https://page.example/a/", media_type="text/html")
        assert notice_in_place(document.title, document.text) is None, file.name


def test_b21_a_long_notice_is_one_and_a_short_page_is_none() -> None:
    assert len(PARTNERS) > 8_000
    wall = notice_in_place("Breaking news from everywhere", PARTNERS)
    assert wall is not None and wall.what == "a cookie notice"
    blocked = "Please verify you are human. We believe you are a bot. Complete the CAPTCHA to continue. " * 30
    check = notice_in_place("a.org", blocked)
    assert check is not None and len(blocked) > 2_500
    assert notice_in_place("Tides", "High water: 06:12.") is None
    assert notice_in_place("Tides", SENTENCE * 3) is None


@pytest.mark.parametrize("text", ["we " * 100_000, "accept " * 50_000, "\n" * 300_000, "the page " * 50_000, "(" * 300_000, "a" * 300_000])
def test_it_costs_little(text: str) -> None:
    started = time.process_time()
    notice_in_place(text, text)
    assert time.process_time() - started < 10
