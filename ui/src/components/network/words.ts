/** Choices and sentences that several pages of a network share. */
import { t } from "../../i18n";
import type { NetworkKind, Role } from "../../ipc/bindings";

export const ROLES: Role[] = ["owner", "manager", "member"];

export const kindChoices = (): { value: NetworkKind; label: string; hint: string }[] =>
  (["open", "closed"] as const).map((value) => ({
    value,
    label: t(`create.${value}`),
    hint: t(`create.${value}Hint`),
  }));

export const roleChoices = (): { value: Role; label: string; hint: string }[] =>
  ROLES.map((value) => ({ value, label: t(`role.${value}`), hint: t(`role.${value}May`) }));
