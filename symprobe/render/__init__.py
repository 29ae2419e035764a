"""Values to lines: text for people, JSON and other formats for programs. Nothing prints here."""
