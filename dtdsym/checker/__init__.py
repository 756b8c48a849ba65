"""An independent checker of certificates: the standard library, and FORMAT.md as all that it shares with dtdsym."""
