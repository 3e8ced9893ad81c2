"""The compiled code of ``native/``, and BERT's layers on it: what sparse and dense encoders share."""
