/** The way in: one card, the fleet's name, nothing else. */
import { Button, TextInput } from "@mantine/core"
import { say } from "@/words/say"
import { Gateway } from "./Gateway"
import { useLoginForm } from "./useLoginForm"

export function LoginPage({ ended }: { readonly ended: boolean }) {
  const { submit, problem, busy } = useLoginForm()
  return (
    <Gateway title={say("login.title")} hint={ended ? say("login.ended") : undefined} problem={problem}>
      <form onSubmit={submit}>
        <TextInput
          name="name"
          label={say("login.name")}
          autoComplete="username"
          autoFocus
          required
          maxLength={100}
        />
        <TextInput
          name="password"
          type="password"
          label={say("login.password")}
          autoComplete="current-password"
          required
          maxLength={256}
        />
        <TextInput
          name="code"
          label={say("login.code")}
          description={say("login.codeHelp")}
          autoComplete="one-time-code"
          inputMode="numeric"
          maxLength={10}
        />
        <Button type="submit" variant="filled" loading={busy}>
          {say("login.submit")}
        </Button>
      </form>
      <p>{say("login.help")}</p>
    </Gateway>
  )
}
