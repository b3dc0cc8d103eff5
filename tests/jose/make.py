"""Makes crafted.json: signatures that no signer would make, of keys of their own.

Run by hand (it needs PyPI's `cryptography`); its output is committed, so that a
test needs no Python, and is the same wherever it runs.
"""

import base64
import hashlib
import json
import math
import secrets
import sys
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

TEXT = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (b'{"alg":"?"}', b'{"sub":"crafted"}'))


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


# RSA: an encoded message is raised to the private exponent as it is.

KEY = rsa.generate_private_key(65537, 2048)
PRIVATE = KEY.private_numbers()
N, D = PRIVATE.public_numbers.n, PRIVATE.d
SIZE = 256
PREFIXES = {  # RFC 8017, 9.2, note 1
    "sha1": "3021300906052b0e03021a05000414",
    "sha256": "3031300d060960864801650304020105000420",
    "sha384": "3041300d060960864801650304020205000430",
    "sha512": "3051300d060960864801650304020305000440",
}


def raw(em: bytes) -> bytes:
    return pow(int.from_bytes(em), D, N).to_bytes(SIZE)


def hashed(name: str) -> bytes:
    return hashlib.new(name, TEXT.encode()).digest()


def pkcs1(info: bytes, start: bytes = b"\0\1", fill: bytes = b"\xff", zero: bytes = b"\0", tail: bytes = b"") -> bytes:
    count = SIZE - len(start) - len(zero) - len(info) - len(tail)
    return start + fill * count + zero + info + tail


def info(name: str, digest: bytes | None = None) -> bytes:
    return bytes.fromhex(PREFIXES[name]) + (hashed(name) if digest is None else digest)


def mgf1(seed: bytes, length: int, name: str) -> bytes:
    blocks = b"".join(hashlib.new(name, seed + count.to_bytes(4)).digest() for count in range(length // 20 + 1))
    return blocks[:length]


def pss(name: str, salt: int, mask: str | None = None, last: int = 0xBC, one: int = 1, top: bool = False,
        digest: bytes | None = None) -> bytes:
    m_hash = hashed(name) if digest is None else digest
    salted = bytes(range(1, salt + 1))
    h = hashlib.new(name, bytes(8) + m_hash + salted).digest()
    db = bytes(SIZE - salt - len(h) - 2) + bytes([one]) + salted
    masked = bytearray(a ^ b for a, b in zip(db, mgf1(h, len(db), mask or name), strict=True))
    masked[0] = masked[0] | 0x80 if top else masked[0] & 0x7F
    return bytes(masked) + h + bytes([last])


def rsa_cases():
    sha, other = hashed("sha256"), hashlib.sha256(b"other").digest()
    ok = bytes.fromhex(PREFIXES["sha256"])
    without_null = bytes.fromhex("302f300b0609608648016503040201") + bytes.fromhex("0420") + sha
    yield "RS256", True, "as RFC 8017 has it", raw(pkcs1(info("sha256")))
    yield "RS384", True, "as RFC 8017 has it", raw(pkcs1(info("sha384")))
    yield "RS512", True, "as RFC 8017 has it", raw(pkcs1(info("sha512")))
    good = raw(pkcs1(info("sha256")))
    yield "RS256", False, "parameters left out instead of NULL", raw(pkcs1(without_null))
    yield "RS256", False, "a sequence with a long form of its length", raw(pkcs1(b"\x30\x81\x31" + ok[2:] + sha))
    yield "RS256", False, "a digest with a long form of its length", raw(
        pkcs1(bytes.fromhex("3032300d06096086480165030402010500048120") + sha))
    yield "RS256", False, "a sequence of indefinite length", raw(pkcs1(b"\x30\x80" + ok[2:] + sha + b"\0\0"))
    yield "RS256", False, "NULL with a byte in it", raw(pkcs1(
        bytes.fromhex("3032300e06096086480165030402010501000420") + sha))
    yield "RS256", False, "the digest of another text", raw(pkcs1(info("sha256", other)))
    yield "RS256", False, "a digest that is cut", raw(pkcs1(ok[:-1] + b"\x1f" + sha[:-1]))
    yield "RS256", False, "the identifier of SHA-384 before SHA-256", raw(
        pkcs1(bytes.fromhex("3031300d060960864801650304020205000420") + sha))
    yield "RS256", False, "the identifier of SHA-224 before SHA-256", raw(
        pkcs1(bytes.fromhex("3031300d060960864801650304020405000420") + sha))
    yield "RS256", False, "SHA-1", raw(pkcs1(info("sha1")))
    yield "RS256", False, "SHA-384", raw(pkcs1(info("sha384")))
    yield "RS384", False, "SHA-256", good
    yield "RS512", False, "SHA-256", good
    yield "RS256", False, "the digest alone", raw(pkcs1(sha))
    yield "RS256", False, "bytes after the digest", raw(pkcs1(info("sha256"), tail=bytes(8)))
    # CVE-2006-4339 (Bleichenbacher): little padding, and room for anything after it.
    yield "RS256", False, "eight bytes of padding and garbage", raw(
        b"\0\1" + b"\xff" * 8 + b"\0" + info("sha256") + b"\x5a" * (SIZE - 11 - len(info("sha256"))))
    yield "RS256", False, "no padding and garbage", raw(
        b"\0\1\0" + info("sha256") + b"\x5a" * (SIZE - 3 - len(info("sha256"))))
    yield "RS256", False, "padding of zeros (type 0)", raw(pkcs1(info("sha256"), b"\0\0", b"\0"))
    yield "RS256", False, "padding of type 2", raw(pkcs1(info("sha256"), b"\0\2", b"\x5a"))
    yield "RS256", False, "one byte of the padding is not ff", raw(
        pkcs1(info("sha256"))[:40] + b"\xfe" + pkcs1(info("sha256"))[41:])
    yield "RS256", False, "no zero after the padding", raw(pkcs1(info("sha256"), zero=b"\xff"))
    yield "RS256", False, "a first byte that is not zero", raw(pkcs1(info("sha256"), b"\1\1"))
    yield "RS256", False, "signature 0", bytes(SIZE)
    yield "RS256", False, "signature 1", (1).to_bytes(SIZE)
    yield "RS256", False, "signature n - 1", (N - 1).to_bytes(SIZE)
    yield "RS256", False, "signature n", N.to_bytes(SIZE)
    yield "RS256", False, "signature n + 1", (N + 1).to_bytes(SIZE)
    if (large := int.from_bytes(good) + N).bit_length() <= 2048:
        yield "RS256", False, "the signature plus n", large.to_bytes(SIZE)
    yield "RS256", False, "the signature plus n, a byte longer", (int.from_bytes(good) + N).to_bytes(SIZE + 1)
    yield "RS256", False, "a zero before the signature", b"\0" + good
    yield "RS256", False, "a zero after the signature", good + b"\0"
    yield "RS256", False, "the first byte left out", good[1:]
    yield "RS256", False, "the last byte left out", good[:-1]
    yield "RS256", False, "n minus the signature", (N - int.from_bytes(good)).to_bytes(SIZE)
    for bits in ("256", "384", "512"):
        name, size = f"sha{bits}", int(bits) // 8
        yield f"PS{bits}", True, "a salt as long as the hash", raw(pss(name, size))
        yield f"PS{bits}", False, "no salt", raw(pss(name, 0))
        yield f"PS{bits}", False, "a salt of 20 bytes", raw(pss(name, 20))
        yield f"PS{bits}", False, "a salt a byte shorter", raw(pss(name, size - 1))
        yield f"PS{bits}", False, "a salt a byte longer", raw(pss(name, size + 1))
        yield f"PS{bits}", False, "the longest salt", raw(pss(name, SIZE - size - 2))
        yield f"PS{bits}", False, "a mask made with SHA-1", raw(pss(name, size, mask="sha1"))
        yield f"PS{bits}", False, "the wrong last byte", raw(pss(name, size, last=0xCC))
        yield f"PS{bits}", False, "no 1 before the salt", raw(pss(name, size, one=2))
        other_digest = hashlib.new(name, b"other").digest()
        yield f"PS{bits}", False, "the digest of another text", raw(pss(name, size, digest=other_digest))
        yield f"PS{bits}", False, "PKCS #1 v1.5", raw(pkcs1(info(name)))
        yield f"RS{bits}", False, "PSS", raw(pss(name, size))
        good_pss = raw(pss(name, size))
        yield f"PS{bits}", False, "a zero before the signature", b"\0" + good_pss
        yield f"PS{bits}", False, "the last byte left out", good_pss[:-1]
        yield f"PS{bits}", False, "signature 0", bytes(SIZE)
        yield f"PS{bits}", False, "signature n", N.to_bytes(SIZE)
        em = pss(name, size, top=True)
        if int.from_bytes(em) < N:
            yield f"PS{bits}", False, "the top bit set", raw(em)


def prime(bits: int) -> int:
    """A prime of so many bits, the two highest of them set."""
    while True:
        found = secrets.randbits(bits) | 3 << (bits - 2) | 1
        if all(pow(base, found - 1, found) == 1 for base in (2, 3, 5, 7)):
            return found


def of_size(bits: int) -> rsa.RSAPrivateKey:
    """A key of exactly so many bits, which OpenSSL makes of even ones alone."""
    while True:
        p, q = prime(bits // 2), prime(bits - bits // 2)
        n, phi = p * q, (p - 1) * (q - 1)
        if n.bit_length() == bits and p != q and phi % 65537:
            d = pow(65537, -1, phi)
            numbers = rsa.RSAPrivateNumbers(
                p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), rsa.RSAPublicNumbers(65537, n)
            )
            return numbers.private_key()


def sizes():
    """Keys of other sizes, the odd ones included, with signatures of theirs."""
    hashes_of = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
    for bits in (2048, 2049, 2050, 2055, 2056, 3072, 4096):
        key = of_size(bits)
        n = key.private_numbers().public_numbers.n
        jwk = {"kty": "RSA", "e": "AQAB", "n": b64(n.to_bytes((bits + 7) // 8))}
        for algorithm in ("RS256", "RS512", "PS256", "PS512"):
            chosen = hashes_of[algorithm[2:]]
            how = padding.PKCS1v15() if algorithm[0] == "R" else padding.PSS(padding.MGF1(chosen), chosen.digest_size)
            signature = key.sign(TEXT.encode(), how, chosen)
            yield {"alg": algorithm, "bits": bits, "key": jwk, "signature": b64(signature)}


def moduli():
    """Moduli of 2048 bits that no honest key has."""
    product = math.prod(number for number in range(2, 168) if all(number % other for other in range(2, number)))
    power = pow(65537, secrets.randbits(200) | 1, product)
    yield "powers of 65537 modulo the first primes (ROCA)", (1 << 2047) // product * product + product + power
    for divisor in (3, 5, 101, 167):
        yield f"a multiple of {divisor}", next(n for n in range(N | 1, N + 1000, 2) if n % divisor == 0)
    yield "an even one", N - 1


# Ed25519, as RFC 8032 has it, and with whatever else one who holds the key can do.

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
DD = -121665 * pow(121666, P - 2, P) % P


def add(a, b):
    (x1, y1), (x2, y2) = a, b
    xx, yy, t = x1 * y2 + x2 * y1, y1 * y2 + x1 * x2, DD * x1 * x2 * y1 * y2 % P
    return xx * pow(1 + t, P - 2, P) % P, yy * pow(1 - t, P - 2, P) % P


def times(k, point):
    result = (0, 1)
    while k:
        if k & 1:
            result = add(result, point)
        point, k = add(point, point), k >> 1
    return result


def x_of(y, sign):
    square = (y * y - 1) * pow(DD * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P:
        return None
    return P - x if x & 1 != sign else x


def encode(point):
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE = (x_of(4 * pow(5, P - 2, P) % P, 0), 4 * pow(5, P - 2, P) % P)


def torsion():
    """The eight points of small order."""
    y = 2
    while True:
        x = x_of(y, 0)
        if x is not None:
            point = times(L, (x, y))
            multiples = [times(k, point) for k in range(8)]
            if len(set(multiples)) == 8:
                return multiples
        y += 1


def challenge(r, a, text):
    return int.from_bytes(hashlib.sha512(r + a + text).digest(), "little") % L


def ed25519_cases():
    text = TEXT.encode()
    seed = hashlib.sha512(bytes(range(32))).digest()
    a = int.from_bytes(seed[:32], "little") & (1 << 254) - 8 | 1 << 254
    key = times(a, BASE)
    encoded = encode(key)
    r = int.from_bytes(hashlib.sha512(seed[32:] + text).digest(), "little") % L
    small = torsion()

    def sign(nonce, public, r_bytes=None, secret=a):
        point = encode(times(nonce, BASE)) if r_bytes is None else r_bytes
        s = (nonce + challenge(point, public, text) * secret) % L
        return point, s

    point, s = sign(r, encoded)
    yield encoded, True, "as RFC 8032 has it", point + s.to_bytes(32, "little")
    yield encoded, False, "S + L", point + (s + L).to_bytes(32, "little")
    for factor in (2, 3, 7, 14):
        yield encoded, False, f"S + {factor} L", point + (s + factor * L).to_bytes(32, "little")
    yield encoded, False, "S with its top bit set", point + (s | 1 << 255).to_bytes(32, "little")
    yield encoded, False, "S = 0", point + bytes(32)
    yield encoded, False, "S = L", point + L.to_bytes(32, "little")
    yield encoded, False, "R with its sign changed", bytes([*point[:31], point[31] ^ 0x80]) + s.to_bytes(32, "little")
    yield encoded, False, "R = 0 and S = 0", bytes(64)
    yield encoded, False, "all bits", b"\xff" * 64
    # R of small order: S is the challenge times the key, which only its owner can make,
    # but R tells nothing about any nonce.
    for index, low in enumerate(small):
        r_bytes = encode(low)
        s_low = challenge(r_bytes, encoded, text) * a % L
        yield encoded, False, f"R of small order, {index} of 8", r_bytes + s_low.to_bytes(32, "little")
    # R that is no number below p.
    for y in (P, P + 1):
        r_bytes = y.to_bytes(32, "little")
        s_low = challenge(r_bytes, encoded, text) * a % L
        yield encoded, False, f"R = p + {y - P}", r_bytes + s_low.to_bytes(32, "little")
    no_point = next(y for y in range(2, 99) if x_of(y, 0) is None)
    yield encoded, False, "R that is no point", no_point.to_bytes(32, "little") + s.to_bytes(32, "little")


def ed25519_keys():
    """Keys that must not be used: of small order, not below p, no points."""
    for index, low in enumerate(torsion()):
        yield f"of small order, {index} of 8", encode(low)
    for y in range(P, 2**255):
        for sign in (0, 1):
            yield f"y = p + {y - P}, sign {sign}", (y | sign << 255).to_bytes(32, "little")
    yield "x = 0 with a sign", (1 | 1 << 255).to_bytes(32, "little")
    yield "x = 0 with a sign, y = -1", (P - 1 | 1 << 255).to_bytes(32, "little")
    for y in [y for y in range(2, 40) if x_of(y, 0) is None][:4]:
        yield f"no point has y = {y}", y.to_bytes(32, "little")


def main() -> None:
    signatures = [
        {"alg": alg, "valid": valid, "what": what, "signature": b64(signature)}
        for alg, valid, what, signature in rsa_cases()
    ]
    ed = list(ed25519_cases())
    signatures += [{"alg": "EdDSA", "valid": valid, "what": what, "signature": b64(sig)} for _, valid, what, sig in ed]
    found = {
        "text": TEXT,
        "keys": {
            "RSA": {"kty": "RSA", "e": "AQAB", "n": b64(N.to_bytes(SIZE))},
            "OKP": {"kty": "OKP", "crv": "Ed25519", "x": b64(ed[0][0])},
        },
        "signatures": signatures,
        "sizes": list(sizes()),
        "moduli": [{"what": what, "n": b64(n.to_bytes(SIZE))} for what, n in moduli()],
        "points": [{"what": what, "x": b64(x)} for what, x in ed25519_keys()],
    }
    lines = json.dumps(found, indent=1).replace("\n    ", " ").replace("\n   ", " ").replace("\n  }", " }")
    Path(sys.argv[1]).write_text(lines + "\n", encoding="utf-8")
    print(len(signatures), len(found["points"]))


main()
