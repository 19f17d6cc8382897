/** Why something could not be done, above the form or table that tried it. */
import css from "./Problem.module.css"

export function Problem({ error }: { readonly error: Error | null | undefined }) {
  return error ? (
    <p className={css.problem} role="alert">
      {error.message}
    </p>
  ) : null
}
