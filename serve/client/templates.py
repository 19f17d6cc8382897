"""Templates of devices: by which unknown ones come in."""

from typing import Final

from serve.client.connection import Connection, Revision, in_path
from serve.schemas.templates import DeviceTemplate, DeviceTemplateItem, DeviceTemplateList

_TEMPLATES: Final = "/api/templates"


class DeviceTemplates:
    """What can be asked about templates of devices."""

    def __init__(self, ask: Connection) -> None:
        self._ask = ask

    def all(self) -> list[DeviceTemplateItem]:
        """Every template, by name, and how many devices came by it."""
        return self._ask.get(DeviceTemplateList, _TEMPLATES).items

    def one(self, template_id: str) -> DeviceTemplateItem:
        return self._ask.get(DeviceTemplateItem, f"{_TEMPLATES}/{in_path(template_id)}")

    def add(self, template: DeviceTemplate) -> DeviceTemplateItem:
        """Approve a template."""
        return self._ask.send(DeviceTemplateItem, "POST", _TEMPLATES, template)

    def change(self, template_id: str, template: DeviceTemplate, revision: Revision) -> DeviceTemplateItem:
        """Put another in its place; what came by it stays."""
        path = f"{_TEMPLATES}/{in_path(template_id)}"
        return self._ask.send(DeviceTemplateItem, "PUT", path, template, revision)

    def remove(self, template_id: str, revision: Revision) -> None:
        """Take one away; what came by it stays."""
        self._ask.change("DELETE", f"{_TEMPLATES}/{in_path(template_id)}", revision=revision)
