"""Tests of credits sold."""
