"""Object stores, tiers, copies: named, sealed bytes only. No key and no plaintext can be named here."""
