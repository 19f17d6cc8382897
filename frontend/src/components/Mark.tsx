/** The mark of Twinfold: a folded sheet. */
export function Mark() {
  return (
    <svg
      viewBox="0 0 20 20"
      width={20}
      height={20}
      fill="none"
      stroke="currentColor"
      strokeWidth={1.5}
      strokeLinejoin="round"
      aria-hidden
    >
      <path d="M10 3 3.5 5v10.4L10 17.4l6.5-2V5z" />
      <path d="M10 3v14.4" strokeDasharray="2.2 1.8" />
    </svg>
  )
}
