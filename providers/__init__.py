"""The outside world, one folder per axis: language models, search, readers, embeddings, the local corpus, the sandbox."""
