/** The mark of Parley. */
export function Logo({ size = 32 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 64 64" aria-hidden="true">
      <rect width="64" height="64" rx="15" fill="var(--accent)" />
      <path
        fill="var(--on-accent)"
        d="M32 14c-11.6 0-20 7.3-20 17 0 5.6 2.7 10.3 7.2 13.4l-1.7 6.2c-.3 1.1.9 2 1.9 1.4l7.3-4.4c1.7.3 3.5.4 5.3.4 11.6 0 20-7.3 20-17s-8.4-17-20-17z"
      />
      <path fill="none" stroke="var(--accent)" strokeWidth="3.5" strokeLinecap="round" d="M23 28h18M23 35.5h11" />
    </svg>
  );
}
