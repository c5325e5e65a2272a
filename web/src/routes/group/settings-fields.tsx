import { useScreenText } from '../../locales/screens.ts';
import styles from './group.module.css';

interface ChoiceProps {
  value: string;
  onChange?: (value: string) => void;
}

function Choice({
  name,
  legend,
  options,
  value,
  onChange,
}: ChoiceProps & { name: string; legend: string; options: readonly (readonly [string, string, string])[] }) {
  return (
    <fieldset className={styles.choice}>
      <legend>{legend}</legend>
      {options.map(([option, label, hint]) => (
        <label key={option}>
          <input
            type="radio"
            name={name}
            value={option}
            {...(onChange ? { checked: value === option } : { defaultChecked: value === option })}
            onChange={() => onChange?.(option)}
          />
          <span>
            {label}
            <small>{hint}</small>
          </span>
        </label>
      ))}
    </fieldset>
  );
}

/** Who can find and join a group. */
export function VisibilityChoice(props: ChoiceProps) {
  const { group } = useScreenText();
  const options = [
    ['PRIVATE', group.private, group.privateHint],
    ['PUBLIC', group.public, group.publicHint],
  ] as const;
  return <Choice {...props} name="visibility" legend={group.visibility} options={options} />;
}

/** Whether new members can read earlier messages. */
export function HistoryChoice(props: ChoiceProps) {
  const { group } = useScreenText();
  const options = [
    ['ALL', group.historyAll, group.historyAllHint],
    ['SINCE_JOINED', group.historySince, group.historySinceHint],
  ] as const;
  return <Choice {...props} name="historyVisibility" legend={group.history} options={options} />;
}
