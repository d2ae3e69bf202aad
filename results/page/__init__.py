"""Sweeps as web pages: tables as in the terminal, and charts. A server or one file shows them."""
