"""The stage that reads a page, of the web or of the corpus, and selects the passages that bear on a question; it also finds the images of
read pages that illustrate an answer."""
