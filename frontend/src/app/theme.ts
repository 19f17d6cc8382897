/** Mantine's theme from the tokens: every part of the app takes its look from here. */
import { type CSSVariablesResolver, createTheme, type MantineColorsTuple } from "@mantine/core"
import { TOKENS, type Tokens, variable } from "../components/tokens"

/** Ten shades are Mantine's form; ours are one colour a scheme, chosen for contrast. */
function flat(light: string, dark: string): MantineColorsTuple {
  return [light, light, light, light, dark, light, light, light, light, light]
}

export const theme = createTheme({
  fontFamily: "Hyphen, 'Inter Variable', Inter, system-ui, sans-serif",
  fontFamilyMonospace: "ui-monospace, 'SF Mono', Menlo, Consolas, monospace",
  fontSizes: { xs: "11px", sm: "12px", md: "13px", lg: "15px", xl: "18px" },
  lineHeights: { xs: "1.4", sm: "1.45", md: "1.45", lg: "1.45", xl: "1.3" },
  spacing: { xs: "4px", sm: "8px", md: "12px", lg: "16px", xl: "24px" },
  radius: { xs: "3px", sm: "6px", md: "8px", lg: "8px", xl: "8px" },
  shadows: { xs: "none", sm: "none", md: "none", lg: "none", xl: "0 8px 32px rgb(0 0 0 / 0.18)" },
  defaultRadius: "sm",
  primaryColor: "action",
  primaryShade: { light: 6, dark: 4 },
  autoContrast: true,
  cursorType: "pointer",
  respectReducedMotion: true,
  focusRing: "auto",
  colors: { action: flat(TOKENS.light.action, TOKENS.dark.action) },
  components: {
    Button: {
      defaultProps: { size: "compact-md", variant: "default" },
      // Mantine chooses by the light shade alone; ours is light ink on blue by day, dark ink by night.
      vars: (_: unknown, { variant }: { variant?: string }) => ({
        root: variant === "filled" ? { "--button-color": "var(--mantine-primary-color-contrast)" } : {},
      }),
    },
    Modal: {
      defaultProps: {
        centered: true,
        shadow: "xl",
        lockScroll: false,
        styles: { title: { fontWeight: 600 } },
        overlayProps: { backgroundOpacity: 0.35 },
        transitionProps: { duration: 0 },
      },
    },
    TextInput: { defaultProps: { size: "sm", withAsterisk: false } },
    Textarea: { defaultProps: { size: "sm", autosize: false, rows: 3, withAsterisk: false } },
    NativeSelect: { defaultProps: { size: "sm" } },
    Checkbox: {
      defaultProps: {
        size: "xs",
        radius: "xs",
        styles: { label: { fontSize: "var(--mantine-font-size-md)" } },
      },
    },
    InputWrapper: {
      vars: () => ({ description: { "--input-description-size": "var(--mantine-font-size-xs)" } }),
    },
  },
})

/** Our variables beside Mantine's; they are written into the stylesheet when the app is built. */
export const cssVariables: CSSVariablesResolver = () => ({
  variables: { "--tf-gap": "12px" },
  light: scheme(TOKENS.light),
  // What Mantine fills and lines its fields with by night is a brown of its own.
  dark: {
    ...scheme(TOKENS.dark),
    "--mantine-color-dark-4": TOKENS.dark.line,
    "--mantine-color-dark-6": TOKENS.dark.raised,
  },
})

function scheme(tokens: Tokens): Record<string, string> {
  const own = Object.entries(tokens).map(([name, colour]) => [variable(name as keyof Tokens), colour])
  return {
    ...Object.fromEntries(own),
    "--mantine-color-body": tokens.surface,
    "--mantine-color-text": tokens.ink,
    "--mantine-color-dimmed": tokens.muted,
    "--mantine-color-placeholder": tokens.muted,
    "--mantine-color-anchor": tokens.action,
    "--mantine-color-error": tokens.critical,
    "--mantine-color-default": tokens.surface,
    "--mantine-color-default-hover": tokens.raised,
    "--mantine-color-default-color": tokens.ink,
    "--mantine-color-default-border": tokens.line,
    "--mantine-color-disabled": tokens.raised,
    "--mantine-color-disabled-color": tokens.muted,
    "--mantine-color-action-filled": tokens.action,
    "--mantine-color-action-filled-hover": tokens.action,
    "--mantine-color-action-light-color": tokens.action,
    "--mantine-primary-color-contrast": tokens.onAction,
  }
}
