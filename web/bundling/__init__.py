"""Joins the page's sources into few files for browsers. It changes no source and needs no other program."""
