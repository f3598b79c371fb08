"""The smallest writer of real PDF files that the tests need."""

from __future__ import annotations


def make_pdf(pages: list[list[str]], *, title: str = "", encrypted: bool = False) -> bytes:
    """A PDF of `pages`, each a list of lines of Latin text, set in Helvetica; `encrypted` asks for a password that nobody has."""
    objects: list[bytes] = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for lines in pages:
        escaped = [line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)") for line in lines]
        content = "BT /F1 11 Tf 13 TL 40 800 Td " + " ".join(f"({line}) Tj T*" for line in escaped) + " ET"
        stream = content.encode("latin-1")
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R /Resources << /Font << /F1 3 0 R >> >> >>"
            % len(objects)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(kids), len(kids))
    objects.append(b"<< /Title (%s) /Author (A. Writer) /CreationDate (D:20230405060708Z) >>" % title.encode("latin-1"))
    trailer = b"/Root 1 0 R /Info %d 0 R" % len(objects)
    if encrypted:
        secret = b"<" + b"5A" * 32 + b">"
        objects.append(b"<< /Filter /Standard /V 1 /R 2 /P -4 /O %s /U %s >>" % (secret, secret))
        trailer += b" /Encrypt %d 0 R /ID [<00112233> <00112233>]" % len(objects)
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d %s >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, start)
    return bytes(out)
