"""Markdown as text with offsets: its blocks and prose, changes that know where everything else stands afterwards, repair."""
