"""The file of the copy catalog: its schema. See `locations`."""

from __future__ import annotations

from engine.storage.database import Database

_SCHEMA = """
CREATE TABLE places (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, listed INTEGER NOT NULL DEFAULT 0);
CREATE TABLE weddings (id INTEGER PRIMARY KEY, token BLOB NOT NULL UNIQUE);
CREATE TABLE copies (
    wedding INTEGER NOT NULL, pack BLOB NOT NULL, place INTEGER NOT NULL, size INTEGER NOT NULL,
    state INTEGER NOT NULL, written INTEGER NOT NULL, verified INTEGER NOT NULL,
    PRIMARY KEY (wedding, pack, place)
) WITHOUT ROWID;
CREATE INDEX copies_ailing ON copies (state, wedding, pack, place) WHERE state <> 0;
CREATE TABLE totals (
    place INTEGER NOT NULL, wedding INTEGER NOT NULL, packs INTEGER NOT NULL, bytes INTEGER NOT NULL,
    oldest INTEGER NOT NULL, PRIMARY KEY (place, wedding)
) WITHOUT ROWID;
CREATE TRIGGER copy_added AFTER INSERT ON copies BEGIN
    INSERT INTO totals VALUES (new.place, new.wedding, new.state = 0, (new.state = 0) * new.size, new.verified)
    ON CONFLICT (place, wedding) DO UPDATE SET packs = packs + excluded.packs, bytes = bytes + excluded.bytes,
        oldest = min(oldest, excluded.oldest);
END;
CREATE TRIGGER copy_changed AFTER UPDATE ON copies BEGIN
    UPDATE totals SET packs = packs + (new.state = 0) - (old.state = 0),
        bytes = bytes + (new.state = 0) * new.size - (old.state = 0) * old.size, oldest = min(oldest, new.verified)
    WHERE place = new.place AND wedding = new.wedding;
END;
CREATE TRIGGER copy_gone AFTER DELETE ON copies BEGIN
    UPDATE totals SET packs = packs - (old.state = 0), bytes = bytes - (old.state = 0) * old.size
    WHERE place = old.place AND wedding = old.wedding;
END;
"""


def catalog_of(cache_bytes: int) -> Database:
    """The copy catalog, with so much memory for its pages. It waits for no disk: listings tell what it lost."""
    return Database(
        "copy catalog", "it is made anew from listings", _SCHEMA, "NORMAL", cache_bytes=cache_bytes, version=1
    )
