"""Push services, one file each: how a push looks there, and what an answer means. No I/O here."""
