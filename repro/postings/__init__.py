"""Postings laid out for exact search by compiled code, beside a Lucene index."""
