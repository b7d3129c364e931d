"""The lowest floor: small things that know nothing of WedSync, and nothing of each other."""
