/** Whether a version is in force, wants to be, or was. */
import type { ModelItem } from "@/api/schema"
import { Chip } from "@/components/Chip"
import { say } from "@/words/say"

export function RoleChip({ role }: Pick<ModelItem, "role">) {
  return <Chip>{say(`models.roles.${role}`)}</Chip>
}
