"""Which commands to alerts must say why, by the alert's priority. The house says which, not the rule."""

from serve.config import NotesConfig
from serve.errors import NoteNeededError
from twins import commands as c
from twins.fleet import Fleet


def check_note(command: c.AlertCommand, fleet: Fleet, config: NotesConfig) -> None:
    """Refuse a command that must say why and does not. One to an alert that is not known passes: the fleet answers it.

    Raises
    ------
    NoteNeededError : if neither a note nor a reason is in it, and its alert has a priority that takes one.
    """
    said = f"{command.note}{getattr(command, 'reason', '')}".strip()
    priorities = _taking(command, config)
    if said or not priorities:
        return
    priority = _priority(command, fleet)
    if priority in priorities:
        raise NoteNeededError(command.device_id, command.rule, priority)


def _taking(command: c.AlertCommand, config: NotesConfig) -> tuple[str, ...]:
    match command:
        case c.AcknowledgeAlert():
            return config.acknowledge
        case c.ResetAlert():
            return config.reset
        case c.ShelveAlert():
            return config.shelve
        case c.SuppressAlert() | c.RemoveFromService():
            return config.suppress
    return ()


def _priority(command: c.AlertCommand, fleet: Fleet) -> str:
    """Of the alert's rule as it is in force; empty where there is none."""
    found = fleet.find(command.device_id)
    rules = fleet.types[found[1]].rules if found is not None else ()
    return next((rule.priority for rule in rules if rule.name == command.rule), "")
