#!/usr/bin/env python3
"""Opens everything that psirtd has kept, without psirtd. docs/recovery.md says when and how.

    python3 recover.py STATE OUT

STATE is a state directory, or a backup of one; it is only read. OUT is a new folder, which gets

    OUT/journal.jsonl         what happened, one record a line
    OUT/mail/DIGEST.eml       the mails as received, named by their SHA-256 digest
    OUT/letters/DIGEST.eml    the letters as sent

It needs gpg, with the desk's secret key in its keyring, and OpenSSL's library. Exit code 0: everything is there; 1: something is
missing or damaged, and named; what is intact is recovered all the same.
"""

import ctypes
import ctypes.util
import hashlib
import hmac
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

FIRST_LINE = b"psirtd journal 2\n"
MAGIC = b"PJ02"
HEAD = struct.Struct(">4s I Q I 32s 32s")  # magic, length, first record, records, previous digest, digest
TAG, NONCE = 16, 12
complaints = []


def complain(text):
    complaints.append(text)
    print(f"recover.py: {text}", file=sys.stderr)


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


# by OpenSSL's library, not its program: that takes a key as an argument only, which the list of processes shows
crypto = ctypes.CDLL(ctypes.util.find_library("crypto") or sys.exit("recover.py: there is no libcrypto; install openssl"))
crypto.EVP_CIPHER_CTX_new.restype = crypto.EVP_aes_256_gcm.restype = ctypes.c_void_p
SET_TAG = 0x11  # EVP_CTRL_AEAD_SET_TAG


class DataKey:
    """What everything is sealed with: AES-256-GCM (NIST SP 800-38D); sealed bytes are ciphertext, tag, nonce."""

    def __init__(self, contents, names):
        self.contents, self.names = bytes.fromhex(contents), bytes.fromhex(names)
        if (len(self.contents), len(self.names)) != (32, 32):
            raise ValueError

    def name(self, digest):
        """The name of the file of this digest."""
        return hmac.new(self.names, b"file " + digest.encode(), hashlib.sha256).hexdigest()

    def open(self, what, sealed):
        """The plaintext of bytes that were sealed as `what`; None if they are damaged, or something else."""
        nonce, tag, ciphertext = sealed[-NONCE:], sealed[-NONCE - TAG : -NONCE], sealed[: -NONCE - TAG]
        if len(tag) != TAG:
            return None
        plaintext, written = ctypes.create_string_buffer(len(ciphertext) + TAG), ctypes.byref(ctypes.c_int())
        context = ctypes.c_void_p(crypto.EVP_CIPHER_CTX_new())
        cipher = ctypes.c_void_p(crypto.EVP_aes_256_gcm())
        opened = (
            crypto.EVP_DecryptInit_ex(context, cipher, None, self.contents, nonce) == 1
            and crypto.EVP_DecryptUpdate(context, None, written, what, len(what)) == 1
            and crypto.EVP_DecryptUpdate(context, plaintext, written, ciphertext, len(ciphertext)) == 1
            and crypto.EVP_CIPHER_CTX_ctrl(context, SET_TAG, TAG, tag) == 1
            and crypto.EVP_DecryptFinal_ex(context, None, written) == 1
        )
        crypto.EVP_CIPHER_CTX_free(context)
        return plaintext.raw[: len(ciphertext)] if opened else None


def data_key(path):
    """Has gpg open the data key, and looks who has signed it."""
    reads, writes = os.pipe()
    command = ["gpg", "--status-fd", str(writes), "--decrypt", str(path)]
    text = subprocess.run(command, stdout=subprocess.PIPE, pass_fds=[writes]).stdout
    os.close(writes)
    with os.fdopen(reads, errors="replace") as pipe:
        status = [line.split()[1:] for line in pipe]
    if ["DECRYPTION_OKAY"] not in status:
        sys.exit(f"recover.py: gpg cannot open {path}; is the desk's secret key in its keyring?")
    lines = text.decode("ascii", "replace").splitlines()
    try:
        if lines[:1] != ["psirtd data key 1"]:
            raise ValueError
        fields = dict(line.split() for line in lines[1:])
        key = DataKey(fields["contents"], fields["names"])
    except (KeyError, ValueError):
        sys.exit(f"recover.py: {path} is in a form that this program does not know")
    secret_of = ["gpg", "--batch", "--list-secret-keys"]
    signers = [words[-1] for words in status if words[0] == "VALIDSIG"]
    if not any(subprocess.run([*secret_of, signer], capture_output=True).returncode == 0 for signer in signers):
        complain(f"{path.name}: none of the desk's keys has signed it: somebody else may have made all of this")
    return key


def batch_at(journal, at):
    """A batch that is whole in itself: first record, number of records, previous digest, digest, payload."""
    if len(journal) - at < HEAD.size:
        return None
    _, length, first, count, previous, digest = HEAD.unpack_from(journal, at)
    payload = journal[at + HEAD.size : at + HEAD.size + length]
    right = len(payload) == length and digest == sha256(struct.pack(">QI", first, count), previous, payload)
    return (first, count, previous, digest, payload) if right else None


def records_of(journal, mark, key):
    """Every record that opens, in order. Damage is named, and what is behind it is looked for."""
    records, last, digest, end = [], 0, sha256(FIRST_LINE), len(FIRST_LINE)
    if not journal.startswith(FIRST_LINE):
        complain("journal: its first line is damaged, or it is in a form that this program does not know")
    at = journal.find(MAGIC)
    while at >= 0:
        text = None
        if (batch := batch_at(journal, at)) and batch[0] > last:
            first, count, previous, own, payload = batch
            text = key.open(b"journal " + struct.pack(">Q", first - 1) + previous, payload)
        if text is None:
            at = journal.find(MAGIC, at + 1)
            continue
        if first > last + 1:
            complain(f"journal: damaged after record {last} (byte {end}): records {last + 1} to {first - 1} are lost")
        elif (at, previous) != (end, digest):
            complain(f"journal: record {first} does not follow on record {last} (byte {end}) as it was written")
        records += json.loads(text)
        last, digest, end = first + count - 1, own, at + HEAD.size + len(payload)
        at = journal.find(MAGIC, end)
    if mark > last:
        complain(f"journal: damaged after record {last} (byte {end}): records {last + 1} to {mark} are lost")
    elif end < len(journal) and mark == last:
        print(f"journal: the last {len(journal) - end} bytes are a batch that was never finished; that loses nothing")
    elif end < len(journal):
        complain(f"journal: the bytes after record {last} (byte {end}) are damaged, or were never finished")
    return records


def recover_files(folder, out, key, named):
    """Opens every file of a folder, and counts them; `named` has the digests that the journal names, and their records."""
    out.mkdir()
    expected = {key.name(digest): f"record {seq}: {digest}" for digest, seq in named.items()}
    found = {file.name.removesuffix(".sealed") for file in folder.glob("*.sealed")}
    for name in sorted(found | expected.keys()):
        file, record = folder / f"{name}.sealed", expected.get(name, "no record names it")
        try:
            opened = key.open(f"file {name}".encode(), file.read_bytes())
        except OSError as error:
            complain(f"{folder.name}/{file.name}: {error.strerror} ({record})")
            continue
        digest = sha256(opened or b"").hex()
        if opened is None or key.name(digest) != name:
            complain(f"{folder.name}/{file.name}: damaged ({record})")
            continue
        (out / f"{digest}.eml").write_bytes(opened)
    return len(list(out.iterdir()))


def main(state, out):
    os.umask(0o077)
    key = data_key(state / "data-key.asc")
    out.mkdir()
    mark, journal = state / "journal.mark", state / "journal"
    mark = mark.read_text(errors="replace").strip() if mark.exists() else ""
    if not journal.exists():
        complain("journal: missing")
    journal = journal.read_bytes() if journal.exists() else FIRST_LINE
    named = {"mail": {}, "letters": {}}
    with open(out / "journal.jsonl", "w", encoding="utf-8") as lines:
        for record in (records := records_of(journal, int(mark) if mark.isdecimal() else 0, key)):
            lines.write(json.dumps(record, ensure_ascii=False) + "\n")
            for event in record["events"]:
                if event["event"] == "mail-recorded":
                    named["mail"][event["mail"]] = record["seq"]
                elif event["event"] == "letter-queued":
                    named["letters"][event["bytes"]] = record["seq"]
                # what people of the team wrote
                finding = event.get("finding")
                finding = finding if isinstance(finding, dict) else {}
                for text in (event.get("text"), finding.get("workaround"), finding.get("exception", {}).get("reason")):
                    if text:
                        named["letters"][text] = record["seq"]
    mails, letters = (recover_files(state / name, out / name, key, named[name]) for name in named)
    end = f"{len(complaints)} times something is wrong, see above" if complaints else "everything is there"
    print(f"{out}: {len(records)} records, {mails} mails, {letters} letters; {end}")
    return 1 if complaints else 0


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    try:
        sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
    except OSError as error:
        sys.exit(f"recover.py: {error}")
