import './ui/app.css';
import { render } from 'preact';
import { effect } from '@preact/signals';
import { followSelection } from './acts';
import { startReplay } from './replay';
import { watchTone } from './watch';
import { start } from './store';
import { App } from './views/App';

start();
effect(followSelection);
watchTone();
startReplay();
const host = document.getElementById('app');
if (host) render(<App />, host);
