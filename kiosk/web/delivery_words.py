"""The words for what becomes of a delivery. English here is the message id, as in `phrases`."""

from __future__ import annotations

from kiosk.phrases import N_

KINDS = {
    "webhook": N_("We send it there"),
    "pull": N_("The enterprise fetches it"),
    "file": N_("As a file, by hand"),
}
"""How an enterprise gets its records, by `Enterprise.deliver`."""

PROBLEMS = {
    "address": N_("Its address in the configuration is not one that records may go to. Tell the administrator."),
    "private": N_("Its address lies in a private network, and the configuration does not allow that."),
    "name": N_("The name of its computer is not known. Look at the address, and whether there is internet here."),
    "connection": N_("Its computer does not answer. Look whether there is internet here; else it is switched off."),
    "certificate": N_("The certificate of its computer is not valid. Tell the enterprise."),
    "late": N_("It took the delivery, but did not answer in time."),
    "broken": N_("The connection broke before it answered."),
    "rewritten": N_("The log does not continue what was signed before. Nothing is sent. Call the administrator."),
    "kiosk": N_("The kiosk refused to hand its records over. Call the administrator."),
}
"""Why a try failed, by `DeliveryStatus.problem`; what an `answer` was, the tables below say."""

REASONS = {
    "log_parked": N_("It does not know this kiosk's key yet. Somebody there has to accept its fingerprint."),
    "wrong_signature": N_("It does not accept our signature. Compare the secret on both sides."),
    "wrong_checkpoint_signature": N_("It does not accept the signature of the log. Compare the key on both sides."),
    "no_log_key": N_("It does not accept the signature of the log. Compare the key on both sides."),
    "consistency": N_("It knows another state of the log, and asks for a proof that we cannot give."),
    "history_rewritten": N_("It says that the log was rewritten. Call the administrator."),
    "contradiction": N_("It has other records under the same numbers. Call the administrator."),
    "broken_proof": N_("It says that a record is not proved. Call the administrator."),
    "id_reused": N_("It has another delivery under the same number. Call the administrator."),
    "malformed": N_("It does not understand the delivery. Its program may be older than ours."),
}
"""What an enterprise's hub gave as the reason, where it is one of those we know."""

ANSWERS = {
    401: N_("It does not accept our signature. Compare the secret on both sides."),
    403: N_("It does not accept our signature. Compare the secret on both sides."),
    404: N_("There is nothing at this address. Ask the enterprise for the right one."),
    405: N_("There is nothing at this address. Ask the enterprise for the right one."),
    413: N_("It says that the delivery is too large."),
    429: N_("It asks us to wait."),
}
ANSWERS_BY_HUNDRED = {
    3: N_("It sends us to another address, which is not followed. Ask the enterprise for the right one."),
    4: N_("It refuses the delivery. Ask the enterprise why."),
    5: N_("Its program has a fault at the moment. Nothing is lost; it is tried again."),
}
OTHER_ANSWER = N_("Its answer was no receipt.")
STOPPED = N_("It answered that it wants nothing more at this address. Nothing is sent until its address is changed.")

WITHHELD = {
    "contract": N_("no contract for that day"),
    "consent": N_("no consent"),
    "evidence": N_("evidence that this enterprise does not take"),
    "date": N_("date not certain yet"),
}
"""Why a record stays at the college."""
WITHHELD_REMEDY = {
    "contract": N_("Enter the contract on the person's page, if there is one."),
    "consent": N_("Ask the person, and enter the consent on their page. What waited then leaves by itself."),
    "evidence": N_("The enterprise decides what it takes; these hours count at the college."),
    "date": N_("Say on the review page when the session was."),
}
