"""The pages of who has no session yet: log in, and accept an invitation.

Each module beside this one adds routes to `blueprint`.
"""

from __future__ import annotations

from flask import Blueprint

blueprint = Blueprint("auth", __name__)

from blueprints.auth import invitations, logins  # noqa: E402 (they add their routes to the blueprint above)

__all__ = ["blueprint", "invitations", "logins"]
